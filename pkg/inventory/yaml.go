package inventory

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Ansible reads an inventory in the form that its name, or else its text, tells.
func Ansible(file string, text []byte) ([]Machine, error) {
	if strings.HasSuffix(file, ".yml") || strings.HasSuffix(file, ".yaml") || looksLikeYAML(text) {
		return AnsibleYAML(file, text)
	}
	return AnsibleINI(file, text)
}

// yamlStart is how a YAML inventory begins: a key alone on its line.
var yamlStart = regexp.MustCompile(`^(---|['"]?[A-Za-z0-9_.-]+['"]?:\s*(#.*)?)$`)

func looksLikeYAML(text []byte) bool {
	for line := range strings.Lines(string(text[:min(len(text), 64<<10)])) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" && line[0] != '#' && line[0] != ';' {
			return yamlStart.MatchString(line)
		}
	}
	return false
}

// AnsibleYAML reads an inventory in Ansible's YAML form. Aliases and merges are not followed.
func AnsibleYAML(file string, text []byte) ([]Machine, error) {
	if len(text) > MaxText {
		return nil, place{file, 0}.errorf("larger than %d KiB", MaxText>>10)
	}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntax(file, err)
	}
	y := yamlReader{file: file, tree: newTree()}
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		pairs, err := y.pairs(doc.Body, "groups")
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			if err := y.group(p, "", 1); err != nil {
				return nil, err
			}
		}
	}
	return y.tree.machines(file)
}

func syntax(file string, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		return place{file, at.GetToken().Position.Line}.errorf("%s", at.GetMessage())
	}
	return place{file, 0}.errorf("no YAML")
}

type yamlReader struct {
	file string
	tree *tree
}

// pair is a key and its value.
type pair struct {
	key   string
	value ast.Node
	at    place
}

func (y *yamlReader) at(n ast.Node) place {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return place{y.file, t.Position.Line}
	}
	return place{y.file, 0}
}

// pairs lists a mapping; nothing at all is an empty one.
func (y *yamlReader) pairs(n ast.Node, what string) ([]pair, error) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, y.at(n).errorf("want a mapping of %s", what)
	}
	out := make([]pair, 0, len(values))
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			return nil, y.at(v).errorf("merges are not followed")
		}
		key, ok := scalar(v.Key)
		if !ok {
			return nil, y.at(v).errorf("want a name")
		}
		out = append(out, pair{key, v.Value, y.at(v.Key)})
	}
	return out, nil
}

// group reads one group and those within it.
func (y *yamlReader) group(p pair, parent string, depth int) error {
	if !isGroup(p.key) {
		return p.at.errorf("%s is no group's name", short(p.key))
	}
	if depth > maxDepth {
		return p.at.errorf("groups lie more than %d deep", maxDepth)
	}
	y.tree.declare(p.key, p.at)
	if parent != "" {
		y.tree.addChild(parent, p.key, p.at)
	}
	parts, err := y.pairs(p.value, "hosts, vars and children")
	if err != nil {
		return err
	}
	for _, part := range parts {
		inner, err := y.pairs(part.value, part.key)
		if err != nil {
			return err
		}
		for _, one := range inner {
			switch part.key {
			case "hosts":
				err = y.host(one, p.key)
			case "children":
				err = y.group(one, p.key, depth+1)
			case "vars":
				if value, ok := scalar(one.value); ok {
					y.tree.setVar(p.key, one.key, value)
				}
			default:
				err = part.at.errorf("%s: want hosts, vars or children", short(part.key))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// host reads the hosts of one key. Variables that are no plain values are of no use here.
func (y *yamlReader) host(p pair, group string) error {
	pairs, err := y.pairs(p.value, "variables")
	if err != nil {
		return err
	}
	vars := make(map[string]string)
	for _, v := range pairs {
		if value, ok := scalar(v.value); ok {
			vars[v.key] = value
		} else if slices.Contains(connection(), v.key) {
			return v.at.errorf("%s: want a plain value", v.key)
		}
	}
	return y.tree.addHosts(p.at, group, p.key, vars)
}

// connection lists the variables that must be plain.
func connection() []string {
	return []string{"ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args", "ansible_connection"}
}

// scalar is the text of a plain value.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode:
		return n.GetToken().Value, true
	case *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value), true
	}
	return "", false
}
