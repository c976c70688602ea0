package fleet

import (
	"context"
	"net/netip"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Phase is where a machine stands on its way out. It is kept by the provider
// (tags, or the box's directory), so that a run that was killed is finished by the next.
type Phase string

// The phases, in the order in which a machine goes through them.
const (
	PhaseActive   Phase = ""         // holds the slot of its node
	PhaseOutgoing Phase = "outgoing" // is being replaced or removed; holds no slot
	PhaseDraining Phase = "draining" // its record has been gone for a whole TTL
	PhaseDoomed   Phase = "doomed"   // drained, its census saved: only the delete is left
)

// Status is whether a machine runs, as its provider says.
type Status string

// The statuses of a machine.
const (
	StatusRunning Status = "running"
	StatusPending Status = "pending" // being made
	StatusStopped Status = "stopped" // exists, switched off
)

// Ports of a relay. Zero means that the transport is not served.
type Ports struct {
	SSH  int `json:"ssh,omitempty"`
	TCP  int `json:"tcp,omitempty"`
	QUIC int `json:"quic,omitempty"`
	WS   int `json:"ws,omitempty"`
	API  int `json:"api,omitempty"` // on the box's own loopback
}

// Machine is a box as its provider lists it.
type Machine struct {
	ID      string       `json:"id"`    // the provider's; never reused
	Name    string       `json:"name"`  // for people
	Fleet   string       `json:"fleet"` // the owner mark; only machines with our fleet's name are ever listed
	Node    string       `json:"node"`  // the slot, "nyc1-1"
	Region  string       `json:"region"`
	Op      string       `json:"op"` // the operation (ULID) that created it
	Phase   Phase        `json:"phase,omitempty"`
	Status  Status       `json:"status"`
	HostKey string       `json:"host_key,omitempty"` // the mark "hostkey": authorized_keys form, no comment
	Addrs   []netip.Addr `json:"addrs"`              // public addresses, IPv4 first
	Ports   Ports        `json:"ports"`              // what clients dial
	Bind    Ports        `json:"bind"`               // what the daemon listens on, where that differs (a forwarder in front)
	User    string       `json:"user"`               // for SSH
	Root    string       `json:"root,omitempty"`     // prefix of the box's "/" as its own processes see it; "" on a real machine
	PID     int          `json:"pid,omitempty"`      // of the relay, where the provider knows it (local)
	Created time.Time    `json:"created"`

	Sudo    bool     `json:"sudo,omitempty"`    // User becomes root by sudo
	Key     string   `json:"key,omitempty"`     // private key file for SSH of this machine's own, "" for none
	Jump    string   `json:"jump,omitempty"`    // host to go through, [user@]host[:port], "" for none
	Labels  []string `json:"labels,omitempty"`  // for selectors: the provider's tags, the operator's groups
	Service string   `json:"service,omitempty"` // what runs the relay: ServiceSystemd if ""
	State   string   `json:"state,omitempty"`   // the relay's state directory, StateDir if ""
	Adopted bool     `json:"adopted,omitempty"` // made by others and not taken over: it is watched and published, never changed
	Given   bool     `json:"given,omitempty"`   // entered by the operator: never made, never deleted
	Drift   []Drift  `json:"drift,omitempty"`   // how it differs from the spec, as the provider sees it

	// Keys are SSH keys that the provider keeps and the spec lets in, in authorized_keys
	// form. KeysProblem is why not all of them are known, "" if they are.
	Keys        []string `json:"keys,omitempty"`
	KeysProblem string   `json:"keys_problem,omitempty"`

	// CachedUntil is the mark "cached", zero if there is none: until then resolvers may keep
	// records of the fleet, this machine's and others', from before dns.ttl was lowered, or
	// from before the last of them was withdrawn.
	CachedUntil time.Time `json:"cached_until,omitzero"`

	// Problem is why the provider cannot say that the machine is ours, "" if it can: its
	// marks could not be read, or are those of another fleet. It holds its slot, its box
	// counts as unreadable, and nothing is done to it.
	Problem string `json:"problem,omitempty"`

	// Unmarked is a machine that only its name says is ours: its marks may be on their
	// way. It is waited for, and nothing is done to it.
	Unmarked bool `json:"unmarked,omitempty"`
}

// LoginUser is the user of machines that fleetctl orders: who logs in by SSH, and becomes
// root by sudo.
const LoginUser = "fleetctl"

// What can run a relay on a machine.
const (
	ServiceSystemd = "systemd"
	ServiceLaunchd = "launchd"
	ServiceProcess = "process" // the relay's own keeper, where there is no service manager
)

// Fix is what it costs to put a difference right.
type Fix string

// The fixes, from the cheapest to the dearest.
const (
	FixInPlace Fix = "in place"
	FixRestart Fix = "restart"
	FixReplace Fix = "replacement"
)

// Drift is one difference between what is there and what the spec asks for, as an
// adapter found it.
type Drift struct {
	Name string `json:"name"` // "size", "firewall rules", "unit"
	From string `json:"from"`
	To   string `json:"to"`
	Fix  Fix    `json:"fix"`
}

// NewMachine is an order for one machine.
type NewMachine struct {
	Node   string
	Region string
	Op     string        // ULID; a second Create with the same Op returns the machine of the first
	Delay  time.Duration // one way, local provider only

	// Waiting is told what is waited for; nil is not told. It may be called by any goroutine.
	Waiting func(what string) `json:"-"`
}

// Mark keys that Provider.Mark accepts.
const (
	MarkPhase   = "phase"
	MarkHostKey = "hostkey" // one key, or several with newlines between them while a key is changed
	MarkAdopted = "adopted" // "yes"; unset when the machine is taken over
	MarkCached  = "cached"  // of [FormatCached]: until when resolvers may keep what they were given under a longer TTL
)

// Quote is what a provider says of money and room before something is bought.
type Quote struct {
	Currency string      `json:"currency"`        // "USD"; "" where machines cost nothing
	Now      []PriceLine `json:"now"`             // the fleet's machines, sorted by ID
	Buy      []PriceLine `json:"buy"`             // what would be bought, in the order asked
	Used     int         `json:"used"`            // machines on the whole account
	Limit    int         `json:"limit,omitempty"` // that the account may have; 0: no limit is known
}

// PriceLine is one machine's price.
type PriceLine struct {
	Node    string  `json:"node"`
	ID      string  `json:"id"`      // "" for one that is yet to be bought
	What    string  `json:"what"`    // "s-1vcpu-1gb in nyc1"
	Monthly float64 `json:"monthly"` // in the quote's currency; 0 of one that has any: not known
	// Transfer is how many bytes may leave the machine in a month at that price; 0: not
	// known, or not bounded.
	Transfer int64 `json:"transfer_bytes,omitempty"`
}

// Provider makes and removes machines. Every method is idempotent, absent is success,
// and implementations are safe for concurrent use. Errors name the operation and the subject.
type Provider interface {
	// Machines lists every machine marked with our fleet, sorted by ID. It changes nothing.
	Machines(ctx context.Context) ([]Machine, error)
	// Create orders a machine and returns when it runs and has an address. Whoever needs
	// its SSH waits for that: see Hosts.Await.
	Create(ctx context.Context, m NewMachine) (Machine, error)
	// Start switches a stopped machine on and returns when it runs. The relay
	// of a box that was set up before starts with it. A running machine is left alone.
	Start(ctx context.Context, id string) error
	// Delete removes a machine and returns when it is gone.
	Delete(ctx context.Context, id string) error
	// Mark sets and unsets marks. Marking an absent machine is ErrNoMachine.
	Mark(ctx context.Context, id string, set map[string]string, unset []string) error
	// EnsureKey makes the operator's public SSH key known to machines made from now on.
	EnsureKey(ctx context.Context, authorizedKey string) error
	// EnsureFirewall makes the fleet's firewall what the spec says.
	EnsureFirewall(ctx context.Context) error
	// Adjust puts right what of a machine's drift can be put right in place.
	Adjust(ctx context.Context, id string) error
	// Quote prices the fleet and what would be bought, and checks that it can be had: an
	// account that is locked, a region that is sold out and a size that does not exist are
	// errors. It changes nothing.
	Quote(ctx context.Context, buy []NewMachine) (Quote, error)
	// Drift lists how what the provider keeps for the whole fleet, the firewall, differs
	// from the spec; one that is missing does. What EnsureFirewall would refuse to put
	// right is an error. It changes nothing.
	Drift(ctx context.Context) ([]Drift, error)
	// Leftovers names what the provider keeps for the fleet beside its machines: tags,
	// a firewall, a supervisor, keys. It changes nothing. A fleet that never was, or
	// that was cleaned up, has none.
	Leftovers(ctx context.Context) ([]string, error)
	// Cleanup removes what the provider keeps for an empty fleet: tags, firewall, the
	// local supervisor and its directory. It is an error while a machine is listed.
	Cleanup(ctx context.Context) error
}

// Release is a relay binary that can be installed.
type Release struct {
	SHA256  string `json:"sha256"` // lower-case hex of the file, "" if there is none to install
	Version string `json:"version,omitempty"`
	Path    string `json:"-"` // where fleetctl reads it
}

// Relay is what a box says of itself. Decisions about DNS are made from probes, not from this.
type Relay struct {
	Installed    bool      `json:"installed"`    // a release and a configuration are there
	Traces       bool      `json:"traces"`       // something that fleetctl put there is, be it from an install or uninstall that did not end
	Active       bool      `json:"active"`       // the service runs
	Ready        bool      `json:"ready"`        // /readyz answered yes
	Reason       string    `json:"reason"`       // why not active or not ready
	PeerID       string    `json:"peer_id"`      // "" if the box has no identity yet
	Version      string    `json:"version"`      // of the running daemon
	SHA256       string    `json:"sha256"`       // of the running release
	Config       string    `json:"config"`       // text of its configuration file
	Peers        []string  `json:"peers"`        // fleet-peers.txt, sorted
	Draining     bool      `json:"draining"`     // the drain mark is there
	Reservations int       `json:"reservations"` // held now; -1: the relay runs and does not say
	Restarted    time.Time `json:"restarted"`    // when fleetctl last restarted it while it served; zero: never
	Warnings     []string  `json:"warnings"`     // what the operator should know: a census set aside
	Drift        []Drift   `json:"drift"`        // of the box beside the relay's configuration: unit, firewall, keys
	Bootstrap    bool      `json:"bootstrap"`    // SSH still shows the host key that came with the machine's order
}

// Hosts sets boxes up and reads them, over SSH.
type Hosts interface {
	// Inspect reads a box and changes nothing. An error means that the box could not be read.
	Inspect(ctx context.Context, m Machine) (Relay, error)
	// Await returns when the box takes commands: its SSH answers with the marked host
	// key, and whatever sets it up at first boot has ended well. waiting, which may be
	// nil, is told what is waited for.
	Await(ctx context.Context, m Machine, waiting func(what string)) error
	// Settle puts right what of the box's drift can be put right in place, by adding and
	// replacing: it restarts no relay, and takes no key away.
	Settle(ctx context.Context, m Machine) error
	// Rekey replaces the host key that came with the machine's order by one made on the
	// box. trust makes others accept keys (authorized_keys form, newlines between them):
	// the old and the new one before the box shows the new one, and the new one alone at
	// the end. A box with a key of its own is left alone.
	Rekey(ctx context.Context, m Machine, trust func(ctx context.Context, keys string) error) error
	// Configure installs the release (where r.SHA256 is not "" and differs), writes the
	// configuration, starts or restarts the service where needed, and returns when the
	// relay says that it serves. It does nothing on a box that is as it should be.
	Configure(ctx context.Context, m Machine, config string, r Release) error
	// Introduce writes the addresses of the fleet's other relays; nothing restarts.
	Introduce(ctx context.Context, m Machine, peers []string) error
	// Drain sets the drain mark. It returns at once; Inspect counts what is left.
	Drain(ctx context.Context, m Machine) error
	// CarryCensus merges the census of one box into that of another, once.
	CarryCensus(ctx context.Context, from, to Machine) error
	// Stop stops and disables the service, so that a machine about to go cannot come back.
	Stop(ctx context.Context, m Machine) error
	// Uninstall takes the relay off a box that stays: service, releases, configuration.
	// Its identity and its census are left. A box without a relay is left alone.
	Uninstall(ctx context.Context, m Machine) error
	// Ping dials an address from a box ("relay ping"): another vantage. It changes nothing.
	// An error says that nothing answers there; [ErrNotAsked] that the box could not find out.
	Ping(ctx context.Context, from Machine, addr dnsaddr.Addr) error
}

// Verdict of a probe.
type Verdict string

// The verdicts. Serving and Full are verified.
const (
	Serving     Verdict = "serving"     // dialed, identified, reserved, relayed through
	Full        Verdict = "full"        // refuses for lack of room: alive
	Draining    Verdict = "draining"    // refuses by its own will
	NotServing  Verdict = "not serving" // answers, is no relay
	WrongPeer   Verdict = "wrong peer"  // somebody else answers there
	Elsewhere   Verdict = "elsewhere"   // nothing answers from here, but another relay of the fleet reaches it
	Unreachable Verdict = "unreachable" // nothing answers from any vantage that was tried
)

// Verified reports whether a client finds a working relay there: Serving or Full.
func (v Verdict) Verified() bool { return v == Serving || v == Full }

// Answers reports whether the relay that is expected there lives, verified or not.
func (v Verdict) Answers() bool {
	return v.Verified() || v == Draining || v == NotServing || v == Elsewhere
}

// Here is the vantage of fleetctl itself.
const Here = "here"

// ProbeStep is one step of a probe: "resolve", "dial", "identify", "reserve", "relay".
type ProbeStep struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"`
	Err  string        `json:"error,omitempty"`
}

// Probe is what one address did when it was used as a client uses it.
type Probe struct {
	Addr    dnsaddr.Addr `json:"addr"`
	At      time.Time    `json:"at"`
	Via     string       `json:"via"` // the vantage: Here, or the node that was asked to ping it
	Verdict Verdict      `json:"verdict"`
	Steps   []ProbeStep  `json:"steps"`
}

// Prober uses a relay's address as a client does.
type Prober interface {
	// Probe returns an error only if it could not find out; unreachable is a result.
	Probe(ctx context.Context, addr dnsaddr.Addr) (Probe, error)
}

// Backends are everything outside that a fleet needs.
type Backends struct {
	Provider Provider
	Hosts    Hosts
	Zone     dnsaddr.Zone
	Prober   Prober
	Lookout  Lookout // nil: the zone's own servers are all that clients ask
	Key      string  // the operator's public SSH key, authorized_keys form
}
