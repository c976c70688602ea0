package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// MaxNodes is how many nodes one fleet may have.
const MaxNodes = 1000

// The providers.
const (
	ProviderLocal        = "local"
	ProviderDigitalOcean = "digitalocean"
	ProviderHosts        = "hosts"
)

// Providers lists what `provider` accepts, the default first.
func Providers() []string { return []string{ProviderLocal, ProviderDigitalOcean, ProviderHosts} }

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	networkForm = regexp.MustCompile(`^/[a-z0-9-]+$`)
	agentForm   = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// keys describes fleet.yaml, bound to the fields of s.
func keys(s *Spec) group {
	return group{
		{name: "name", required: true, doc: "Name of the fleet. It owns every machine and record that is marked with it.",
			value: text{to: &s.Name, pattern: nameForm, most: 32, want: "a DNS label: 1 to 32 of a-z, 0-9 and -, no - at either end"}},
		{name: "id", hidden: true, doc: "Tells this fleet from another one of its name; written once by fleetctl init and kept.",
			value: text{to: &s.ID, pattern: idForm, most: 26, want: "8 to 26 of a-z and 0-9"}},
		{name: "provider", doc: "Where the machines are.",
			value: text{to: &s.Provider, among: Providers(), want: oneOf(Providers())}},
		{name: "nodes", required: s.Provider != ProviderHosts, sometimes: true, hidden: true,
			doc: "The relays, by region. A node is called <region>-<n>, from 1; a lower count removes the highest. With provider hosts they are the hosts.",
			value: nodeList{
				list:  list[NodeSpec]{to: &s.Nodes, least: 1, most: MaxNodes, want: fmt.Sprintf("a list of 1 to %d regions", MaxNodes), of: nodeKeys},
				given: func() bool { return s.Provider == ProviderHosts },
			}},
		{name: "hosts", hidden: true, doc: "The machines of provider hosts.",
			value: list[HostSpec]{to: &s.Hosts, least: 0, most: MaxNodes, want: fmt.Sprintf("a list of at most %d machines", MaxNodes), of: hostKeys}},
		{name: "digitalocean", hidden: true, doc: "What provider digitalocean buys.",
			value: section{group: oceanKeys(&s.Ocean), used: func() bool { return s.Provider == ProviderDigitalOcean }, why: "only provider \"digitalocean\" reads it"}},
		{name: "relay", doc: "What every relay of the fleet is told.", value: relayKeys(&s.Relay)},
		{name: "dns", required: true, doc: "Where and how the fleet is published.", value: dnsKeys(&s.DNS)},
		{name: "rollout", doc: "How carefully changes are made.", value: rolloutKeys(&s.Rollout)},
	}
}

func nodeKeys(n *NodeSpec) shape {
	return group{
		{name: "region", required: true, doc: "Region of the machines; with provider local any word.",
			value: text{to: &n.Region, pattern: nameForm, most: 32, want: "1 to 32 of a-z, 0-9 and -, no - at either end"}},
		{name: "count", hidden: true, doc: "Nodes in this region, 1 by default.",
			value: whole[int]{to: &n.Count, least: 1, top: MaxNodes, what: "a number"}},
		{name: "delay", hidden: true, doc: "One-way delay of everything that reaches the box; provider local only.",
			value: span{to: &n.Delay, least: 0, top: 5 * time.Second}},
	}
}

func relayKeys(r *RelaySpec) group {
	return group{
		{name: "port", doc: "TCP port that clients dial; provider local picks one per box instead.",
			value: whole[int]{to: &r.Port, least: 1, top: 65535, what: "a port"}},
		{name: "quic_port", doc: "UDP port of QUIC; 0 serves no QUIC.",
			value: whole[int]{to: &r.QUICPort, least: 0, top: 65535, what: "a port"}},
		{name: "ws_port", doc: "TCP port of WebSocket; 0 serves no WebSocket.",
			value: whole[int]{to: &r.WSPort, least: 0, top: 65535, what: "a port"}},
		{name: "network", derived: true, doc: "Prefix of the network's own protocols, such as /bitterbot/kad/1.0.0; by default the fleet's name after a slash.",
			value: text{to: &r.Network, pattern: networkForm, most: 64, want: "/ and then 1 to 63 of a-z, 0-9 and -"}},
		{name: "name", derived: true, doc: "First field of the agent string; by default the fleet's name.",
			value: text{to: &r.Name, pattern: agentForm, most: 64, want: "1 to 64 of A-Z, a-z, 0-9, ., _ and -"}},
		{name: "tier", doc: "Third field of the agent string, from which peers read what a relay is.",
			value: text{to: &r.Tier, pattern: agentForm, most: 64, want: "1 to 64 of A-Z, a-z, 0-9, ., _ and -"}},
		{name: "binary", hidden: true, doc: "File of the relay to install; by default the one beside fleetctl, then the one on PATH.",
			value: text{to: &r.Binary, most: 4096, want: "a path of 1 to 4096 printable bytes"}},
		{name: "limits", doc: "What one relay grants.", value: limitKeys(&r.Limits)},
	}
}

func limitKeys(l *Limits) group {
	return group{
		{name: "reservations", doc: "Reservations held at once.",
			value: whole[int]{to: &l.Reservations, least: 1, top: 1_000_000, what: "a number"}},
		{name: "reservations_per_ip", doc: "Reservations held at once by one IPv4 address or IPv6 /56.",
			value: whole[int]{to: &l.ReservationsIP, least: 1, top: 1_000_000, what: "a number"}},
		{name: "circuits", doc: "Circuits open at once on the whole relay.",
			value: whole[int]{to: &l.Circuits, least: 1, top: 1_000_000, what: "a number"}},
		{name: "circuits_per_peer", doc: "Circuits open at once for one peer.",
			value: whole[int]{to: &l.CircuitsPerPeer, least: 1, top: 1_000_000, what: "a number"}},
		{name: "circuit_duration", doc: "How long one circuit lives; 0s is no limit.",
			value: span{to: &l.CircuitDuration, least: 0, top: 24 * time.Hour}},
		{name: "circuit_data", doc: "Bytes that one circuit passes each way; 0 is no limit.",
			value: whole[int64]{to: &l.CircuitData, least: 0, top: 1 << 40, what: "a number of bytes"}},
		{name: "connections", doc: "Peers connected at once.",
			value: whole[int]{to: &l.Connections, least: 8, top: 1_000_000, what: "a number"}},
		{name: "memory", doc: "Bytes of memory that the relay's connections may use.",
			value: whole[int64]{to: &l.Memory, least: 64 << 20, top: 1 << 40, what: "a number of bytes"}},
		{name: "process_memory", derived: true, doc: "Bytes of memory at which the service manager ends the relay and starts it anew; by default 1.5 times memory. Not on local boxes.",
			value: whole[int64]{to: &l.ProcessMemory, least: 64 << 20, top: 1 << 40, what: "a number of bytes"}},
		{name: "open_files", doc: "Sockets and files that the relay may have open; not on local boxes.",
			value: whole[int]{to: &l.OpenFiles, least: 1024, top: 1 << 20, what: "a number"}},
	}
}

func rolloutKeys(r *RolloutSpec) group {
	return group{
		{name: "max_parallel", doc: "Boxes restarted at once.",
			value: whole[int]{to: &r.MaxParallel, least: 1, top: 100, what: "a number"}},
		{name: "min_healthy_time", doc: "How long a successor serves before its predecessor goes.",
			value: span{to: &r.MinHealthyTime, least: 0, top: time.Hour}},
		{name: "healthy_deadline", doc: "A box that does not serve by then stops the run.",
			value: span{to: &r.HealthyDeadline, least: time.Second, top: time.Hour}},
		{name: "drain_timeout", doc: "How long reservations get to move to another relay.",
			value: span{to: &r.DrainTimeout, least: 0, top: 24 * time.Hour}},
		{name: "probe_max_age", doc: "A probe older than this proves nothing.",
			value: span{to: &r.ProbeMaxAge, least: time.Second, top: time.Hour}},
	}
}

func oneOf(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range slices.Clone(words) {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(quoted, " or ")
}

// Defaults is the spec of a fleet of which only the name, the provider, the nodes and
// the zone are known; an empty provider or zone is the default one.
func Defaults(name, provider, zone string, nodes []NodeSpec) Spec {
	if provider == "" {
		provider = ProviderLocal
	}
	if zone == "" {
		zone = Zones()[0]
	}
	s := Spec{
		Name:     name,
		Provider: provider,
		Nodes:    nodes,
		Relay: RelaySpec{
			Port: 9100, QUICPort: 9101,
			Network: "/" + name, Name: name, Tier: "management",
			Limits: Limits{
				Reservations: 1024, ReservationsIP: 64,
				Circuits: 512, CircuitsPerPeer: 16,
				CircuitDuration: 2 * time.Minute, CircuitData: 128 << 10,
				Connections: 4096, Memory: 512 << 20,
				ProcessMemory: processMemory(512 << 20), OpenFiles: 65536,
			},
		},
		DNS: DNSSpec{Zone: zone, TTL: 300 * time.Second},
		Rollout: RolloutSpec{
			MaxParallel: 1, MinHealthyTime: 30 * time.Second, HealthyDeadline: 5 * time.Minute,
			DrainTimeout: 10 * time.Minute, ProbeMaxAge: 2 * time.Minute,
		},
	}
	switch zone {
	case ZoneLocal:
		s.DNS.TTL = 2 * time.Second
	case ZoneRFC2136:
		s.DNS.RFC2136.KeyAlgorithm = tsigAlgorithms()[0]
	}
	switch provider {
	case ProviderDigitalOcean:
		s.Ocean = OceanSpec{
			Size: "s-1vcpu-1gb", Image: "debian-12-x64", SSHPort: 22,
			MaxMachines: 2 * countNodes(nodes), // each of them can be replaced
		}
	case ProviderLocal:
		s.Rollout.MinHealthyTime, s.Rollout.HealthyDeadline, s.Rollout.DrainTimeout = time.Second, time.Minute, 10*time.Second
	}
	s.DNS.MinRelays = max(1, min(2, countNodes(nodes)))
	return s
}

// processMemory is what a process may use whose connections may use so much, in bytes.
func processMemory(connections int64) int64 { return connections / 2 * 3 }

// countNodes is the number of nodes asked for, MaxNodes+1 if there are more: nothing
// is made for each of them before that number is known to be sane.
func countNodes(nodes []NodeSpec) int {
	total := 0
	for _, n := range nodes {
		total += min(max(n.Count, 1), MaxNodes+1)
		if total > MaxNodes {
			return MaxNodes + 1
		}
	}
	return total
}
