package fleet

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Spec is a fleet as its operator wants it: fleet.yaml, complete with defaults.
type Spec struct {
	Name     string      `yaml:"name" json:"name"`
	ID       string      `yaml:"id,omitempty" json:"id,omitempty"` // tells two fleets of one name apart; "" is not compared
	Provider string      `yaml:"provider" json:"provider"`         // one of Providers
	Nodes    []NodeSpec  `yaml:"nodes" json:"nodes"`               // with provider hosts one for each host
	Hosts    []HostSpec  `yaml:"hosts,omitempty" json:"hosts,omitempty"`
	Ocean    OceanSpec   `yaml:"digitalocean,omitempty" json:"digitalocean,omitzero"`
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

// OceanSpec is what is bought at DigitalOcean, and how much of it at most.
type OceanSpec struct {
	Size        string     `yaml:"size" json:"size"`                         // slug
	Image       string     `yaml:"image" json:"image"`                       // slug
	SSHKeys     []string   `yaml:"ssh_keys,omitempty" json:"ssh_keys"`       // files, keys, or fingerprints on the account
	Tags        []string   `yaml:"tags,omitempty" json:"tags"`               // the operator's own, beside ours
	MaxMonthly  int        `yaml:"max_monthly,omitempty" json:"max_monthly"` // USD for the whole fleet, also while a machine is replaced; 0: no bound
	MaxMachines int        `yaml:"max_machines" json:"max_machines"`         // of the fleet, also while one is replaced
	SSHPort     int        `yaml:"ssh_port" json:"ssh_port"`                 // of the droplets
	Token       SecretSpec `yaml:"token,omitempty" json:"token,omitzero"`    // where the API token is
}

// SecretSpec says where a secret is; it is never the secret. At most one field is set.
type SecretSpec struct {
	Env     string   `yaml:"env,omitempty" json:"env,omitempty"`         // name of an environment variable
	File    string   `yaml:"file,omitempty" json:"file,omitempty"`       // a file that nobody else may read
	Command []string `yaml:"command,omitempty" json:"command,omitempty"` // argv of a program that prints it
}

// IsZero reports whether nothing is said.
func (s SecretSpec) IsZero() bool { return s.Env == "" && s.File == "" && len(s.Command) == 0 }

// HostSpec is a machine that somebody else made.
type HostSpec struct {
	Node    string   `yaml:"node,omitempty" json:"node"`       // the slot; by default <region>-<n>, in the order of the list
	Address string   `yaml:"address" json:"address"`           // IP address or name
	Port    int      `yaml:"port,omitempty" json:"port"`       // of SSH, 22 by default
	User    string   `yaml:"user,omitempty" json:"user"`       // root by default; another one becomes root by sudo
	Key     string   `yaml:"key,omitempty" json:"key"`         // private key file for SSH, beside the fleet's own key
	Jump    string   `yaml:"jump,omitempty" json:"jump"`       // host to go through, [user@]host[:port]
	Region  string   `yaml:"region" json:"region"`             //
	Labels  []string `yaml:"labels,omitempty" json:"labels"`   // groups: lambda, hetzner
	State   string   `yaml:"state,omitempty" json:"state"`     // the relay's state directory
	Service string   `yaml:"service,omitempty" json:"service"` // systemd by default
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
	ProcessMemory   int64         `yaml:"process_memory" json:"process_memory"`           // bytes at which the service manager ends the process
	OpenFiles       int           `yaml:"open_files" json:"open_files"`                   // sockets and files of the process
}

// DNSSpec is where and how the fleet is published.
type DNSSpec struct {
	Zone       string         `yaml:"zone" json:"zone"`     // one of Zones
	Domain     string         `yaml:"domain" json:"domain"` // records stand at _dnsaddr.<domain>
	TTL        time.Duration  `yaml:"ttl" json:"ttl"`       // a number of seconds in the file
	MinRelays  int            `yaml:"min_relays" json:"min_relays"`
	Keep       []string       `yaml:"keep,omitempty" json:"keep"` // addresses of others at our name, never touched
	Publish    PublishSpec    `yaml:"publish,omitempty" json:"publish,omitzero"`
	Resolvers  []string       `yaml:"resolvers,omitempty" json:"resolvers"` // asked by verify and watch; empty: public ones
	Cloudflare CloudflareSpec `yaml:"cloudflare,omitempty" json:"cloudflare,omitzero"`
	RFC2136    RFC2136Spec    `yaml:"rfc2136,omitempty" json:"rfc2136,omitzero"`
}

// PublishSpec says which addresses of a relay are published. The zero value publishes
// every transport that is served in every family, as many as the answers have room for.
type PublishSpec struct {
	Addresses  int      `yaml:"addresses,omitempty" json:"addresses"`   // of each relay at a name; 0: as many as fit
	Transports []string `yaml:"transports,omitempty" json:"transports"` // of Transports; empty: all
	Families   []string `yaml:"families,omitempty" json:"families"`     // of Families; empty: all
	Scope      string   `yaml:"scope,omitempty" json:"scope"`           // one of Scopes; "": ScopePublic
	Compact    string   `yaml:"compact,omitempty" json:"compact"`       // label of one more name, for clients that read 512 bytes; "": none
}

// Hides reports whether an address stays out of the zone: a private one, where the zone
// is one that the internet reads and dns.publish.scope does not say otherwise.
func (d DNSSpec) Hides(a dnsaddr.Addr) bool {
	return d.Zone != ZoneLocal && d.Publish.Scope != ScopeAny && a.Private()
}

// CloudflareSpec is a zone at Cloudflare.
type CloudflareSpec struct {
	ZoneID string     `yaml:"zone_id,omitempty" json:"zone_id"`      // "": CLOUDFLARE_ZONE_ID, else found by name
	Token  SecretSpec `yaml:"token,omitempty" json:"token,omitzero"` // the zero value: CLOUDFLARE_API_TOKEN
}

// RFC2136Spec is a zone that takes dynamic updates signed with TSIG.
type RFC2136Spec struct {
	Server       string     `yaml:"server" json:"server"`               // primary, host:port
	Zone         string     `yaml:"zone" json:"zone"`                   // that holds the domain
	KeyName      string     `yaml:"key_name" json:"key_name"`           // of the TSIG key
	KeyAlgorithm string     `yaml:"key_algorithm" json:"key_algorithm"` // one of the accepted HMACs
	Key          SecretSpec `yaml:"key,omitempty" json:"key,omitzero"`  // base64; the zero value: RFC2136_TSIG_SECRET
}

// RecordName is the name that holds the TXT records.
func (d DNSSpec) RecordName() string { return "_dnsaddr." + d.Domain }

// Home says which zone holds the records, as far as the spec does: its kind, and what names
// it there. Plans for different homes are different plans. A spec that leaves the ID of a
// zone open gets it from whoever found the zone.
func (d DNSSpec) Home() string {
	switch {
	case d.Zone == ZoneCloudflare && d.Cloudflare.ZoneID != "":
		return d.Zone + " " + strings.ToLower(d.Cloudflare.ZoneID)
	case d.Zone == ZoneRFC2136:
		return d.Zone + " " + bareName(d.RFC2136.Zone) + " at " + bareServer(d.RFC2136.Server)
	}
	return d.Zone
}

// bareName is a name of the DNS as plans compare it: in lower case, without the final dot.
func bareName(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// bareServer is host:port with the host as [bareName] has it.
func bareServer(server string) string {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return strings.ToLower(server)
	}
	return net.JoinHostPort(bareName(host), port)
}

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
	Number int // in its region, from 1
	Delay  time.Duration
}

// MaxMonthly is the bound of the fleet's monthly price, 0 if there is none.
func (s Spec) MaxMonthly() int {
	if s.Provider != ProviderDigitalOcean {
		return 0
	}
	return s.Ocean.MaxMonthly
}

// MaxMachines is the bound of the fleet's machines, 0 if there is none.
func (s Spec) MaxMachines() int {
	if s.Provider != ProviderDigitalOcean {
		return 0
	}
	return s.Ocean.MaxMachines
}

// Slots lists the nodes of the spec in its order: nyc1-1, nyc1-2, fra1-1. Entries of
// the same region count on.
func (s Spec) Slots() []Slot {
	slots := make([]Slot, 0, countNodes(s.Nodes))
	next := make(map[string]int)
	if s.Provider == ProviderHosts {
		for _, h := range s.Hosts {
			next[h.Region]++
			slots = append(slots, Slot{Node: h.Node, Region: h.Region, Number: next[h.Region]})
		}
		return slots
	}
	for _, n := range s.Nodes {
		for range max(n.Count, 1) {
			next[n.Region]++
			slots = append(slots, Slot{
				Node:   n.Region + "-" + strconv.Itoa(next[n.Region]),
				Region: n.Region,
				Number: next[n.Region],
				Delay:  n.Delay,
			})
		}
	}
	return slots
}
