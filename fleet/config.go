package fleet

import (
	"cmp"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// StateDir is where the daemon keeps its identity and its counters, as the box's own
// "/" shows it.
const StateDir = "/var/lib/relay"

// apiPort is where the daemon's HTTP API listens on a box of its own.
const apiPort = 9847

// relayConfig is the form of the daemon's configuration file. Package relay reads it; a
// test in cmd/relay holds the two together. Text is written as YAML's double-quoted
// scalars, which a YAML library does ten times slower: Diff makes one for every relay.
const relayConfig = `# Written by fleetctl for %s/%s. What is changed here is overwritten.
name: %q
tier: %q
network: %q
state: %q
listen: %s
announce: %s
api: "127.0.0.1:%d"
%s`

// relayLimits is its end, the same for every relay of a fleet.
const relayLimits = `limits:
  reservations: %d
  reservations_per_ip: %d
  circuits: %d
  circuits_per_peer: %d
  circuit_duration: %s
  circuit_data: %d
  connections: %d
  memory: %d
`

// RelayConfig is the text of the daemon's configuration file on m. Equal inputs give
// identical bytes: a difference to the file on the box is drift.
func RelayConfig(s Spec, m Machine) string { return configOf(s, m, limitsOf(s.Relay.Limits)) }

func configOf(s Spec, m Machine, limits string) string {
	return fmt.Sprintf(relayConfig, s.Name, m.Node,
		s.Relay.Name, s.Relay.Tier, s.Relay.Network, path.Join("/", m.Root, cmp.Or(m.State, StateDir)),
		flowList(listen(s, m)), flowList(Announce(s, m)), cmp.Or(m.Ports.API, apiPort), limits)
}

func limitsOf(l Limits) string {
	return fmt.Sprintf(relayLimits, l.Reservations, l.ReservationsIP, l.Circuits, l.CircuitsPerPeer,
		l.CircuitDuration, l.CircuitData, l.Connections, l.Memory)
}

// flowList writes a YAML list on one line.
func flowList(items []string) string {
	text := make([]byte, 1, 128)
	text[0] = '['
	for i, item := range items {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = strconv.AppendQuote(text, item)
	}
	return string(append(text, ']'))
}

// configFields names the settings in which two configuration files differ, sorted by
// name. A file that cannot be read as YAML differs as a whole.
func configFields(from, to string) []Field {
	if from == to {
		return nil
	}
	old, okOld := flatten(from)
	now, okNow := flatten(to)
	if !okOld || !okNow {
		return []Field{{Name: "config", From: "(unreadable)", To: "(rewritten)"}}
	}
	var out []Field
	for _, name := range sortedKeys(old, now) {
		if old[name] != now[name] {
			out = append(out, Field{Name: name, From: old[name], To: now[name]})
		}
	}
	if len(out) == 0 {
		out = append(out, Field{Name: "config", From: "(other formatting)", To: "(rewritten)"})
	}
	return out
}

// Bounds of what a box may call its configuration: ours has a kilobyte.
const (
	maxConfig = 16 << 10
	maxField  = 200
)

// flatten turns a YAML mapping into dotted names and printed values. The text is a
// box's: a long one, and one with aliases, which can unfold to gigabytes, is not read.
func flatten(text string) (map[string]string, bool) {
	if len(text) > maxConfig || strings.ContainsAny(text, "&*") {
		return nil, false
	}
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil || tree == nil {
		return nil, false
	}
	out := make(map[string]string)
	var walk func(prefix string, node any)
	walk = func(prefix string, node any) {
		if m, ok := node.(map[string]any); ok {
			for k, v := range m {
				walk(prefix+"."+k, v)
			}
			return
		}
		value := fmt.Sprint(node)
		out[prefix[1:]] = value[:min(len(value), maxField)]
	}
	for k, v := range tree {
		walk("."+k, v)
	}
	return out, true
}
