package fleet

import (
	"fmt"
	"time"
)

// Spec is a fleet as its operator wants it: fleet.yaml, complete with defaults.
type Spec struct {
	Name     string      `yaml:"name" json:"name"`
	Provider string      `yaml:"provider" json:"provider"` // "local"
	Nodes    []NodeSpec  `yaml:"nodes" json:"nodes"`
	Relay    RelaySpec   `yaml:"relay" json:"relay"`
	DNS      DNSSpec     `yaml:"dns" json:"dns"`
	Rollout  RolloutSpec `yaml:"rollout" json:"rollout"`
}

// NodeSpec asks for Count nodes in one region.
type NodeSpec struct {
	Region string        `yaml:"region" json:"region"`
	Count  int           `yaml:"count,omitempty" json:"count"` // default 1
	Delay  time.Duration `yaml:"delay,omitempty" json:"delay"` // one way, provider local only
}

// RelaySpec is what every relay of the fleet is told.
type RelaySpec struct {
	Port     int    `yaml:"port" json:"port"`           // TCP; provider local picks a port per box
	QUICPort int    `yaml:"quic_port" json:"quic_port"` // UDP; 0 = no QUIC
	WSPort   int    `yaml:"ws_port" json:"ws_port"`     // TCP; 0 = no WebSocket
	Network  string `yaml:"network" json:"network"`     // protocol prefix, "/bitterbot"
	Name     string `yaml:"name" json:"name"`           // first field of the agent string; default: the fleet's name
	Tier     string `yaml:"tier" json:"tier"`           // third field of the agent string
	Binary   string `yaml:"binary,omitempty" json:"binary,omitempty"`
	Limits   Limits `yaml:"limits" json:"limits"`
}

// Limits of one relay. See go-libp2p, circuitv2/relay.Resources.
type Limits struct {
	Reservations    int           `yaml:"reservations" json:"reservations"`               // held at once
	ReservationsIP  int           `yaml:"reservations_per_ip" json:"reservations_per_ip"` // of one IPv4 address or IPv6 /56
	Circuits        int           `yaml:"circuits" json:"circuits"`                       // open at once, the whole relay
	CircuitsPerPeer int           `yaml:"circuits_per_peer" json:"circuits_per_peer"`     //
	CircuitDuration time.Duration `yaml:"circuit_duration" json:"circuit_duration"`       // 0 = no limit
	CircuitData     int64         `yaml:"circuit_data" json:"circuit_data"`               // bytes each way, 0 = no limit
	Connections     int           `yaml:"connections" json:"connections"`                 // peers connected at once
	Memory          int64         `yaml:"memory" json:"memory"`                           // bytes the libp2p host may use
}

// DNSSpec is where and how the fleet is published.
type DNSSpec struct {
	Zone      string        `yaml:"zone" json:"zone"`     // "local"
	Domain    string        `yaml:"domain" json:"domain"` // records stand at _dnsaddr.<domain>
	TTL       time.Duration `yaml:"ttl" json:"ttl"`       // a number of seconds in the file
	MinRelays int           `yaml:"min_relays" json:"min_relays"`
	Keep      []string      `yaml:"keep,omitempty" json:"keep"` // addresses of others at our name, never touched
}

// RecordName is the name that holds the TXT records.
func (d DNSSpec) RecordName() string { return "_dnsaddr." + d.Domain }

// RolloutSpec says how carefully changes are made.
type RolloutSpec struct {
	MaxParallel     int           `yaml:"max_parallel" json:"max_parallel"`         // boxes restarted at once
	MinHealthyTime  time.Duration `yaml:"min_healthy_time" json:"min_healthy_time"` // a successor serves this long before its predecessor goes
	HealthyDeadline time.Duration `yaml:"healthy_deadline" json:"healthy_deadline"` // a box that does not serve by then stops the run
	DrainTimeout    time.Duration `yaml:"drain_timeout" json:"drain_timeout"`       // reservations get this long to move
	ProbeMaxAge     time.Duration `yaml:"probe_max_age" json:"probe_max_age"`       // a probe older than this proves nothing
}

// Slot is one node that the spec asks for.
type Slot struct {
	Node   string // "nyc1-1"
	Region string
	Delay  time.Duration
}

// Slots lists the nodes of the spec in its order: nyc1-1, nyc1-2, fra1-1. Entries of
// the same region count on.
func (s Spec) Slots() []Slot {
	var slots []Slot
	next := make(map[string]int)
	for _, n := range s.Nodes {
		for range max(n.Count, 1) {
			next[n.Region]++
			slots = append(slots, Slot{
				Node:   fmt.Sprintf("%s-%d", n.Region, next[n.Region]),
				Region: n.Region,
				Delay:  n.Delay,
			})
		}
	}
	return slots
}
