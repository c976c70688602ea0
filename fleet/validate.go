package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Validate reports every value that is out of its range, as a [SpecError] without
// lines. A spec that [Load] returned is valid.
func (s Spec) Validate() error {
	s.Nodes = slices.Clone(s.Nodes)
	c := &checker{told: make(map[string]bool)}
	c.spec(&s)
	return c.err("")
}

// checker compares values with their ranges.
type checker struct {
	places   map[string]place // nil: not from a file
	broken   map[string]bool
	problems []Problem
	more     int             // problems of the file that were only counted
	told     map[string]bool // keys with a problem: one for each is enough
}

// add reports a value. Where the key does not stand in the file, the one around it is named.
func (c *checker) add(path, got, want string) {
	for p := path; ; p = parent(p) {
		if c.broken[p] {
			return
		}
		if p == "" {
			break
		}
	}
	if c.told[path] {
		return
	}
	c.told[path] = true
	at := c.place(path)
	c.problems = append(c.problems, Problem{Line: at.line, Column: at.column, Key: path, Got: got, Want: want})
}

func (c *checker) place(path string) place {
	for {
		if p, ok := c.places[path]; ok || path == "" {
			return p
		}
		path = parent(path)
	}
}

// absent reports whether a key is known not to stand in the file.
func (c *checker) absent(path string) bool {
	_, ok := c.places[path]
	return c.places != nil && !ok
}

func (c *checker) missing(path string) { c.add(path, "", "missing; the key is required") }

func (c *checker) err(file string) error {
	if len(c.problems) == 0 {
		return nil
	}
	sortProblems(c.problems)
	shown := c.problems[:min(len(c.problems), MaxProblems)]
	return &SpecError{File: file, Problems: shown, More: len(c.problems) - len(shown) + c.more}
}

// spec checks each value by itself and then what depends on several.
func (c *checker) spec(s *Spec) {
	keys(s).check(c, "")
	c.nodes(s)
	c.hosts(s)
	c.ocean(s)
	c.relay(s.Relay)
	c.dns(s)
	c.rollout(s.Rollout)
}

func (c *checker) nodes(s *Spec) {
	if countNodes(s.Nodes) > MaxNodes {
		c.add("nodes", "", fmt.Sprintf("want at most %d nodes in all", MaxNodes))
		return
	}
	regions := make(map[string]int)
	for i, n := range s.Nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		if _, ok := regions[n.Region]; !ok {
			regions[n.Region] = i
		}
		if n.Delay != 0 && s.Provider != "local" {
			c.add(path+".delay", clock(n.Delay), fmt.Sprintf("only provider \"local\" can delay, this is %q", s.Provider))
		}
	}
	// "nyc1-1" as a region would read like the first node of nyc1.
	for _, slot := range s.Slots() {
		if i, ok := regions[slot.Node]; ok {
			c.add(fmt.Sprintf("nodes[%d].region", i), quote(slot.Node),
				fmt.Sprintf("want a region that is not also the name of a node; region %q has a node of that name", slot.Region))
			delete(regions, slot.Node)
		}
	}
}

func (c *checker) relay(r RelaySpec) {
	if r.WSPort != 0 && r.WSPort == r.Port {
		c.add("relay.ws_port", strconv.Itoa(r.WSPort), "want a port other than relay.port: both are TCP")
	}
	if r.Limits.ProcessMemory < r.Limits.Memory {
		c.add("relay.limits.process_memory", strconv.FormatInt(r.Limits.ProcessMemory, 10),
			fmt.Sprintf("want at least relay.limits.memory (%d): the process is more than its connections", r.Limits.Memory))
	}
	if r.Limits.Reservations > r.Limits.Connections {
		c.add("relay.limits.reservations", strconv.Itoa(r.Limits.Reservations),
			fmt.Sprintf("want at most relay.limits.connections (%d): each reservation holds a connection", r.Limits.Connections))
	}
}

func (c *checker) rollout(r RolloutSpec) {
	if r.MinHealthyTime >= r.HealthyDeadline {
		c.add("rollout.min_healthy_time", clock(r.MinHealthyTime),
			fmt.Sprintf("want less than rollout.healthy_deadline (%s)", clock(r.HealthyDeadline)))
	}
}

// parent is the path of the value around another.
func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return ""
}
