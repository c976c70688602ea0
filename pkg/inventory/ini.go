package inventory

import (
	"net"
	"regexp"
	"strings"

	"github.com/google/shlex"
)

var groupForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// isGroup says that a word can be a group's name.
func isGroup(word string) bool { return len(word) <= 100 && groupForm.MatchString(word) }

// AnsibleINI reads an inventory in Ansible's INI form.
func AnsibleINI(file string, text []byte) ([]Machine, error) {
	if len(text) > MaxText {
		return nil, place{file, 0}.errorf("larger than %d KiB", MaxText>>10)
	}
	t := newTree()
	group, kind := "ungrouped", "hosts"
	for i, line := range strings.Split(string(text), "\n") {
		at := place{file, i + 1}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if name, ok := section(line); ok {
			name, sub, _ := strings.Cut(name, ":")
			if sub == "" {
				sub = "hosts"
			}
			if !isGroup(name) || sub != "hosts" && sub != "children" && sub != "vars" {
				return nil, at.errorf("%s is no section: want [group], [group:children] or [group:vars]", short(line))
			}
			group, kind = name, sub
			if kind != "vars" {
				t.declare(group, at)
			}
			continue
		}
		if err := t.line(at, group, kind, line); err != nil {
			return nil, err
		}
	}
	return t.machines(file)
}

// section is the inside of a line in brackets. A host's name may begin with a bracket.
func section(line string) (string, bool) {
	body, _, _ := strings.Cut(line, "#")
	body = strings.TrimSpace(body)
	if !strings.HasPrefix(body, "[") || !strings.HasSuffix(body, "]") || strings.ContainsAny(body[1:len(body)-1], "[]= \t") || rangeForm.MatchString(body) {
		return "", false
	}
	if strings.Count(body, ":") > 1 { // [2001:db8::1] is a host
		return "", false
	}
	return body[1 : len(body)-1], true
}

// line reads one line of a section.
func (t *tree) line(at place, group, kind, line string) error {
	switch kind {
	case "vars":
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return at.errorf("%s: want name=value", short(line))
		}
		words, err := shlex.Split(strings.TrimSpace(value))
		if err != nil || len(words) != 1 {
			words = []string{strings.TrimSpace(value)} // Ansible takes the rest of the line
		}
		t.setVar(group, strings.TrimSpace(name), words[0])
		return nil
	case "children":
		child, _, _ := strings.Cut(line, "#")
		if child = strings.TrimSpace(child); !isGroup(child) {
			return at.errorf("%s is no group's name", short(child))
		}
		t.addChild(group, child, at)
		return nil
	}
	words, err := shlex.Split(line)
	if err != nil || len(words) == 0 {
		return at.errorf("%s: a quote is not closed", short(line))
	}
	vars := make(map[string]string)
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return at.errorf("%s: want name=value", short(word))
		}
		vars[name] = value
	}
	return t.addHosts(at, group, words[0], vars)
}

// withPort splits a trailing :port off a host's pattern, as Ansible allows it.
func withPort(pattern string) (name, port string) {
	if strings.HasPrefix(pattern, "[") && strings.Count(pattern, ":") > 1 && !rangeForm.MatchString(pattern) {
		if host, port, err := net.SplitHostPort(pattern); err == nil {
			return host, port
		}
		return strings.Trim(pattern, "[]"), ""
	}
	bare := rangeForm.ReplaceAllStringFunc(pattern, func(s string) string { return strings.Repeat("x", len(s)) })
	if strings.Count(bare, ":") != 1 {
		return pattern, ""
	}
	at := strings.LastIndexByte(bare, ':')
	return pattern[:at], pattern[at+1:]
}
