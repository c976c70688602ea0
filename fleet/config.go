package fleet

import (
	"fmt"
	"path"
	"strconv"

	"github.com/goccy/go-yaml"
)

// StateDir is where the daemon keeps its identity and its counters, as the box's own
// "/" shows it.
const StateDir = "/var/lib/relay"

// apiPort is where the daemon's HTTP API listens on a box of its own.
const apiPort = 9847

// relayConfig is the daemon's configuration file. Package relay reads the same shape;
// a test in cmd/relay holds the two together.
type relayConfig struct {
	Name     string      `yaml:"name"`
	Tier     string      `yaml:"tier"`
	Network  string      `yaml:"network"`
	State    string      `yaml:"state"`
	Listen   []string    `yaml:"listen"`
	Announce []string    `yaml:"announce"`
	API      string      `yaml:"api"`
	Limits   relayLimits `yaml:"limits"`
}

// relayLimits writes the limits in the daemon's units.
type relayLimits struct {
	Reservations    int    `yaml:"reservations"`
	ReservationsIP  int    `yaml:"reservations_per_ip"`
	Circuits        int    `yaml:"circuits"`
	CircuitsPerPeer int    `yaml:"circuits_per_peer"`
	CircuitDuration string `yaml:"circuit_duration"`
	CircuitData     int64  `yaml:"circuit_data"`
	Connections     int    `yaml:"connections"`
	Memory          int64  `yaml:"memory"`
}

// RelayConfig is the text of the daemon's configuration file on m. Equal inputs give
// identical bytes: a difference to the file on the box is drift.
func RelayConfig(s Spec, m Machine) (string, error) {
	port := m.Ports.API
	if port == 0 {
		port = apiPort
	}
	l := s.Relay.Limits
	body, err := yaml.Marshal(relayConfig{
		Name:     s.Relay.Name,
		Tier:     s.Relay.Tier,
		Network:  s.Relay.Network,
		State:    path.Join("/", m.Root, StateDir),
		Listen:   listen(s, m),
		Announce: Announce(s, m),
		API:      "127.0.0.1:" + strconv.Itoa(port),
		Limits: relayLimits{
			Reservations:    l.Reservations,
			ReservationsIP:  l.ReservationsIP,
			Circuits:        l.Circuits,
			CircuitsPerPeer: l.CircuitsPerPeer,
			CircuitDuration: l.CircuitDuration.String(),
			CircuitData:     l.CircuitData,
			Connections:     l.Connections,
			Memory:          l.Memory,
		},
	})
	if err != nil {
		return "", fmt.Errorf("%s: relay configuration: %w", m.Node, err)
	}
	return "# Written by fleetctl for " + s.Name + "/" + m.Node + ". What is changed here is overwritten.\n" + string(body), nil
}

// configFields names the settings in which two configuration files differ, sorted by
// name. A file that cannot be read as YAML differs as a whole.
func configFields(from, to string) []Field {
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
	if len(out) == 0 && from != to {
		out = append(out, Field{Name: "config", From: "(other formatting)", To: "(rewritten)"})
	}
	return out
}

// flatten turns a YAML mapping into dotted names and printed values.
func flatten(text string) (map[string]string, bool) {
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
		out[prefix[1:]] = fmt.Sprint(node)
	}
	for k, v := range tree {
		walk("."+k, v)
	}
	return out, true
}
