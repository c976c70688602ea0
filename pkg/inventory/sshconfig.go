package inventory

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/google/shlex"
	"github.com/kevinburke/ssh_config"
)

// Bounds of an ssh_config with everything that it includes.
const (
	maxIncluded = 100     // files
	maxLines    = 100_000 //
)

// Files are what an ssh_config may include.
type Files interface {
	// Glob lists the files that a pattern means, sorted. Relative patterns and ~ are
	// those of the user's own ssh_config.
	Glob(pattern string) ([]string, error)
	// Read returns at most MaxText bytes of a file.
	Read(file string) ([]byte, error)
}

// SSHConfig reads the machines of an ssh_config: every name of a Host line that is no
// pattern. What Match blocks say is not read; warnings name them, with their lines.
func SSHConfig(file string, text []byte, files Files) (machines []Machine, warnings []string, err error) {
	c := &config{files: files, named: make(map[string]place)}
	if err := c.add(file, text, 0, "Host *"); err != nil {
		return nil, nil, err
	}
	read, err := ssh_config.DecodeBytes(c.text.Bytes())
	if err != nil {
		return nil, nil, c.locate(err)
	}
	for _, name := range c.order {
		m, err := c.machine(read, name)
		if err != nil {
			return nil, nil, err
		}
		machines = append(machines, m)
	}
	return sorted(machines), c.warnings, nil
}

// config is an ssh_config on its way to the library, without what the library would read
// from disk by itself or not at all.
type config struct {
	files    Files
	text     bytes.Buffer
	places   []place // of each line of text
	included int
	skipping bool // within a Match block
	named    map[string]place
	order    []string
	warnings []string
}

// add takes a file's lines, and those of the files that it includes in their place.
// block is the Host line that holds for its first lines; it holds again after an include.
func (c *config) add(file string, text []byte, depth int, block string) error {
	if len(text) > MaxText {
		return place{file, 0}.errorf("larger than %d KiB", MaxText>>10)
	}
	for i, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		at := place{file, i + 1}
		if len(c.places) >= maxLines {
			return at.errorf("more than %d lines", maxLines)
		}
		if strings.ContainsAny(line, "\x00\r") {
			return at.errorf("control characters")
		}
		keyword, args := directive(line)
		switch keyword {
		case "match":
			c.skipping = true
			c.warnings = append(c.warnings, at.errorf("a Match block is not read").Error())
			continue
		case "host":
			c.skipping, block = false, line
			if err := c.hosts(at, args); err != nil {
				return err
			}
		case "include":
			if c.skipping {
				continue
			}
			if err := c.include(at, args, depth, block); err != nil {
				return err
			}
			continue
		}
		if !c.skipping {
			c.put(at, line)
		}
	}
	return nil
}

func (c *config) put(at place, line string) {
	c.text.WriteString(line + "\n")
	c.places = append(c.places, at)
}

// directive is the keyword of a line in lower case, and the rest.
func directive(line string) (keyword, args string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), ""
	}
	return strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t=")
}

// hosts notes the names of a Host line.
func (c *config) hosts(at place, args string) error {
	names, err := shlex.Split(args)
	if err != nil {
		return at.errorf("a quote is not closed")
	}
	for _, name := range names {
		if strings.ContainsAny(name, "*?!") {
			continue
		}
		if _, known := c.named[name]; known {
			continue
		}
		if len(c.order) >= MaxHosts {
			return at.errorf("more than %d hosts", MaxHosts)
		}
		if !isName(strings.ReplaceAll(name, ":", ".")) {
			return at.errorf("%s is no host's name", short(name))
		}
		c.named[name], c.order = at, append(c.order, name)
	}
	return nil
}

// include takes the lines of other files.
func (c *config) include(at place, args string, depth int, block string) error {
	if depth >= maxDepth/2 {
		return at.errorf("files include each other more than %d deep", maxDepth/2)
	}
	patterns, err := shlex.Split(args)
	if err != nil {
		return at.errorf("a quote is not closed")
	}
	for _, pattern := range patterns {
		found, err := c.files.Glob(pattern)
		if err != nil {
			return at.errorf("include %s: %v", short(pattern), err)
		}
		for _, file := range found {
			if c.included++; c.included > maxIncluded {
				return at.errorf("more than %d files are included", maxIncluded)
			}
			text, err := c.files.Read(file)
			if err != nil {
				return at.errorf("include %s: %v", short(file), err)
			}
			if err := c.add(file, text, depth+1, block); err != nil {
				return err
			}
			c.skipping = false // a Match block ends with its file
			c.put(at, block)
		}
	}
	return nil
}

// locate gives an error of the library the place of its line.
func (c *config) locate(err error) error {
	text := strings.TrimPrefix(err.Error(), "ssh_config: ")
	var line, column int
	if rest, ok := strings.CutPrefix(text, "("); ok { // "(12, 3): what"
		if where, what, ok := strings.Cut(rest, "): "); ok && scan(where, &line, &column) && line >= 1 && line <= len(c.places) {
			return c.places[line-1].errorf("%s", what)
		}
	}
	return errors.New(text)
}

func scan(where string, line, column *int) bool {
	a, b, ok := strings.Cut(where, ", ")
	return ok && number(a, line) && number(b, column)
}

func number(s string, to *int) bool {
	*to = 0
	for _, r := range s {
		if r < '0' || r > '9' || *to > 1<<30 {
			return false
		}
		*to = *to*10 + int(r-'0')
	}
	return s != ""
}

// machine is what ssh would connect to for a name.
func (c *config) machine(read *ssh_config.Config, name string) (Machine, error) {
	at := c.named[name]
	m := Machine{Name: name, Groups: []string{}, Vars: make(map[string]string), File: at.file, Line: at.line}
	get := func(key string) (string, error) {
		v, err := read.Get(name, key)
		if err != nil {
			return "", at.errorf("%s: %s: %v", name, key, err)
		}
		return strings.Trim(v, `"`), nil
	}
	values := make(map[string]string)
	for _, key := range []string{"HostName", "Port", "User", "IdentityFile", "ProxyJump", "ProxyCommand"} {
		v, err := get(key)
		if err != nil {
			return m, err
		}
		values[key] = v
	}
	address := values["HostName"]
	if address == "" {
		address = name
	}
	address = strings.ReplaceAll(address, "%h", name)
	key, err := tokens(at, name, values["IdentityFile"], address, values["User"])
	if err != nil {
		return m, err
	}
	if pc := values["ProxyCommand"]; pc != "" && !strings.EqualFold(pc, "none") && values["ProxyJump"] == "" {
		return m, at.errorf("%s: it is reached by a ProxyCommand: want a ProxyJump", name)
	}
	jump, err := c.jump(read, at, name, values["ProxyJump"])
	if err != nil {
		return m, err
	}
	return m, m.set(at, address, values["Port"], values["User"], key, jump)
}

// tokens replaces what ssh would in the name of a key file.
func tokens(at place, name, file, address, user string) (string, error) {
	if strings.EqualFold(file, "none") {
		return "", nil
	}
	file = strings.NewReplacer("%%", "\x00", "%d", "~", "%h", address, "%n", name, "%r", user).Replace(file)
	if strings.ContainsAny(file, "%$") {
		return "", at.errorf("%s: %s: only %%d, %%h, %%n and %%r are replaced in an IdentityFile", name, short(file))
	}
	return strings.ReplaceAll(file, "\x00", "%"), nil
}

// jump resolves a jump host, which may be a name of the same file.
func (c *config) jump(read *ssh_config.Config, at place, name, jump string) (string, error) {
	if jump == "" || strings.EqualFold(jump, "none") {
		return "", nil
	}
	jump, err := oneJump(at, name, jump)
	if err != nil {
		return "", err
	}
	user, host, named := strings.Cut(jump, "@")
	if !named {
		user, host = "", jump
	}
	if host == name {
		return "", nil // a jump host does not go through itself, although Host * says so
	}
	if !slices.Contains(c.order, host) {
		return jump, nil
	}
	var got [4]string
	for i, key := range []string{"HostName", "Port", "User", "ProxyJump"} {
		if got[i], err = read.Get(host, key); err != nil {
			return "", at.errorf("%s: jump host %s: %v", name, host, err)
		}
	}
	if got[3] != "" && got[3] != host && !strings.EqualFold(got[3], "none") {
		return "", at.errorf("%s: several jump hosts in a row: want one", name)
	}
	if got[0] != "" {
		host = strings.ReplaceAll(got[0], "%h", host)
	}
	if user == "" {
		user = got[2]
	}
	if got[1] != "" {
		host += ":" + got[1]
	}
	if user != "" {
		host = user + "@" + host
	}
	return host, nil
}
