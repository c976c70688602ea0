package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/shlex"
)

// tree is an Ansible inventory: groups of hosts within groups.
type tree struct {
	groups map[string]*group
	hosts  map[string]*entry
	order  []string // of hosts
}

type group struct {
	vars     map[string]string
	children []string
	hosts    []string
	at       place // of a child that is named and nowhere declared
	declared bool
}

type entry struct {
	vars map[string]string
	at   place
}

func newTree() *tree {
	return &tree{groups: make(map[string]*group), hosts: make(map[string]*entry)}
}

func (t *tree) group(name string) *group {
	g, ok := t.groups[name]
	if !ok {
		g = &group{vars: make(map[string]string)}
		t.groups[name] = g
	}
	return g
}

func (t *tree) declare(name string, at place) {
	g := t.group(name)
	g.declared, g.at = true, at
}

func (t *tree) setVar(name, key, value string) { t.group(name).vars[key] = value }

func (t *tree) addChild(name, child string, at place) {
	g := t.group(name)
	if !slices.Contains(g.children, child) {
		g.children = append(g.children, child)
	}
	if c := t.group(child); !c.declared && c.at == (place{}) {
		c.at = at
	}
}

// addHosts adds the hosts of a pattern to a group. Variables of a host that is named
// twice add up.
func (t *tree) addHosts(at place, to, pattern string, vars map[string]string) error {
	pattern, port := withPort(pattern)
	names, err := expand(at, pattern, MaxHosts)
	if err != nil {
		return err
	}
	g := t.group(to)
	g.declared = true
	for _, name := range names {
		if len(name) > 253 || strings.ContainsAny(name, " \t[]{}\"'\\") {
			return at.errorf("%s is no host's name", short(name))
		}
		e, known := t.hosts[name]
		if !known {
			if len(t.hosts) >= MaxHosts {
				return at.errorf("more than %d hosts", MaxHosts)
			}
			e = &entry{vars: make(map[string]string), at: at}
			t.hosts[name], t.order = e, append(t.order, name)
		}
		if port != "" {
			e.vars["ansible_port"] = port
		}
		maps.Copy(e.vars, vars)
		if !slices.Contains(g.hosts, name) {
			g.hosts = append(g.hosts, name)
		}
	}
	return nil
}

// machines resolves groups and variables.
func (t *tree) machines(file string) ([]Machine, error) {
	for _, name := range slices.Sorted(maps.Keys(t.groups)) {
		g := t.groups[name]
		if !g.declared && g.at != (place{}) {
			return nil, g.at.errorf("the group %s is nowhere defined", short(name))
		}
	}
	depth, err := t.depths()
	if err != nil {
		return nil, err
	}
	in := t.memberships(depth)
	out := make([]Machine, 0, len(t.order))
	for _, name := range t.order {
		e := t.hosts[name]
		m := Machine{Name: name, Groups: []string{}, Vars: make(map[string]string), File: file, Line: e.at.line}
		if all, ok := t.groups["all"]; ok {
			maps.Copy(m.Vars, all.vars)
		}
		for _, g := range in[name] {
			maps.Copy(m.Vars, t.groups[g].vars)
			if g != "all" && g != "ungrouped" {
				m.Groups = append(m.Groups, g)
			}
		}
		slices.Sort(m.Groups)
		maps.Copy(m.Vars, e.vars)
		if err := m.fromVars(e.at); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return sorted(out), nil
}

// depths says how deep each group lies: its variables win over those of what it lies in.
func (t *tree) depths() (map[string]int, error) {
	depth := make(map[string]int)
	var walk func(name string, at int, way []string) error
	walk = func(name string, at int, way []string) error {
		g := t.groups[name]
		if slices.Contains(way, name) {
			return g.at.errorf("the group %s lies within itself", short(name))
		}
		if at > maxDepth {
			return g.at.errorf("groups lie more than %d deep", maxDepth)
		}
		if was, seen := depth[name]; seen && was >= at {
			return nil
		}
		depth[name] = at
		for _, child := range g.children {
			if err := walk(child, at+1, append(way, name)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.groups)) {
		if err := walk(name, 1, nil); err != nil {
			return nil, err
		}
	}
	return depth, nil
}

// memberships lists the groups of every host, directly or not, the outermost first.
func (t *tree) memberships(depth map[string]int) map[string][]string {
	parents := make(map[string][]string)
	for name, g := range t.groups {
		for _, child := range g.children {
			parents[child] = append(parents[child], name)
		}
	}
	in := make(map[string][]string)
	for name, g := range t.groups {
		above := map[string]bool{name: true}
		for todo := []string{name}; len(todo) > 0; {
			next := todo[0]
			todo = todo[1:]
			for _, p := range parents[next] {
				if !above[p] {
					above[p] = true
					todo = append(todo, p)
				}
			}
		}
		for _, host := range g.hosts {
			for a := range above {
				if !slices.Contains(in[host], a) {
					in[host] = append(in[host], a)
				}
			}
		}
	}
	for _, groups := range in {
		slices.SortFunc(groups, func(a, b string) int {
			if depth[a] != depth[b] {
				return depth[a] - depth[b]
			}
			return strings.Compare(a, b)
		})
	}
	return in
}

// fromVars reads what Ansible would connect to.
func (m *Machine) fromVars(at place) error {
	first := func(names ...string) string {
		for _, name := range names {
			if v := m.Vars[name]; v != "" {
				return v
			}
		}
		return ""
	}
	address := first("ansible_host", "ansible_ssh_host")
	if address == "" {
		address = m.Name
	}
	if c := first("ansible_connection"); c != "" && c != "ssh" && c != "smart" && c != "paramiko" && c != "paramiko_ssh" {
		return at.errorf("%s: it is reached by %s, and not by SSH: leave it out with --host or --group", m.Name, short(c))
	}
	jump, err := jumpOf(at, m.Name, first("ansible_ssh_common_args")+" "+first("ansible_ssh_extra_args"))
	if err != nil {
		return err
	}
	return m.set(at, address, first("ansible_port", "ansible_ssh_port"), first("ansible_user", "ansible_ssh_user"),
		first("ansible_ssh_private_key_file", "ansible_private_key_file"), jump)
}

// jumpOf finds the jump host in arguments of ssh.
func jumpOf(at place, name, args string) (string, error) {
	words, err := shlex.Split(args)
	if err != nil {
		return "", at.errorf("%s: arguments of ssh: a quote is not closed", name)
	}
	for i, word := range words {
		var jump string
		switch option, value, _ := strings.Cut(strings.TrimPrefix(word, "-o"), "="); {
		case word == "-J" && i+1 < len(words):
			jump = words[i+1]
		case strings.HasPrefix(word, "-J"):
			jump = word[2:]
		case strings.EqualFold(strings.TrimSpace(option), "ProxyJump"):
			jump = value
		case strings.EqualFold(strings.TrimSpace(option), "ProxyCommand"):
			return "", at.errorf("%s: it is reached by a ProxyCommand: want a ProxyJump", name)
		}
		if jump != "" {
			return oneJump(at, name, jump)
		}
	}
	return "", nil
}

func oneJump(at place, name, jump string) (string, error) {
	jump = strings.TrimPrefix(jump, "ssh://")
	if strings.Contains(jump, ",") {
		return "", at.errorf("%s: several jump hosts in a row: want one", name)
	}
	return jump, nil
}
