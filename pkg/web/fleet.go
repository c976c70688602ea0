package web

import (
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Fleet is what is known of a fleet at one time. A nil pointer is unknown: null in JSON,
// never 0. Lists are in the order in which they are shown.
type Fleet struct {
	Name string `json:"fleet"`
	// At is when the newest part of it was read; zero: nothing was read yet.
	At time.Time `json:"at,omitzero"`
	// LookedAt is when provider, boxes, DNS and addresses were last read as a whole.
	LookedAt time.Time `json:"looked_at,omitzero"`
	// LookTook is how long that took: the next one may be late by as much.
	LookTook  time.Duration `json:"-"`
	Wanted    int           `json:"wanted"`     // relays that the spec asks for
	Floor     int           `json:"min_relays"` // fewer verified relays than these are too few
	Published *int          `json:"published"`  // relays that have a record
	// Verified is how many of those were found serving by a probe that is not too old. It
	// is unknown where some may serve unseen and it depends on them whether the floor is kept.
	Verified  *int      `json:"verified"`
	Relays    []Relay   `json:"relays"`
	Zone      Zone      `json:"zone"`
	Plan      Plan      `json:"plan"`
	Collected Collected `json:"collected"`
	// Figures are the newest numbers of peers by the name of their metric. One that is
	// missing is unknown.
	Figures map[string]stats.Figure `json:"figures"`
	Charts  []stats.Series          `json:"-"`
	Events  []Event                 `json:"-"`        // the newest first
	Errors  []string                `json:"errors"`   // readings that failed as a whole
	Cost    []Cost                  `json:"cost"`     // in a month; empty where nothing is paid, nil where it is not known
	Version string                  `json:"fleetctl"` // of the program that looks
}

// Relay is one relay of a fleet, or the slot of one that is not there.
type Relay struct {
	Node      string   `json:"node"`
	Region    string   `json:"region"`
	State     string   `json:"state"`  // in words of `fleetctl status`, or "unknown"
	Reason    string   `json:"reason"` // of the state, "" if it needs none
	PeerID    string   `json:"peer_id"`
	Addresses []string `json:"addresses"`
	Version   string   `json:"version"` // "" is unknown
	Published *bool    `json:"published"`
	Verified  *bool    `json:"verified"`
	// ProbedAt is when the addresses were last used as a client does; zero is never.
	ProbedAt         time.Time `json:"probed_at,omitzero"`
	Reservations     *int      `json:"reservations"`
	ReservationLimit *int      `json:"reservation_limit"`
	Users            *int      `json:"users"` // connected now
	// Old says that it is a daemon without telemetry and without /metrics; nil is unknown.
	Old *bool `json:"old"`
	// Answering says whether its telemetry was read in the last collection; nil before one.
	Answering *bool `json:"answering"`
	// Failures are collections since serve began that it did not answer in; nil where
	// another program collects, or none does.
	Failures      *uint64  `json:"collection_failures"`
	CensusDamaged *bool    `json:"census_damaged"`
	Warnings      []string `json:"warnings"`
}

// old reports whether it is known to be an old daemon.
func (r Relay) old() bool { return r.Old != nil && *r.Old }

// Zone is the name that the fleet is published at.
type Zone struct {
	Name    string    `json:"name"`
	ReadAt  time.Time `json:"read_at,omitzero"` // when its records were last read; zero: not yet
	Error   string    `json:"error"`            // why they could not be, this time
	Records *int      `json:"records"`          // ours
	Foreign *int      `json:"foreign"`
	// Differences is how many records `fleetctl dnsaddr sync` would add, change or remove.
	Differences *int         `json:"differences"`
	Servers     []NameServer `json:"servers"` // nil: none was asked yet
}

// NameServer is a DNS server that was asked for the records.
type NameServer struct {
	Name   string `json:"name"`
	State  string `json:"state"`  // "in sync", "behind", …, "unknown"
	Detail string `json:"detail"` // of what is not in sync
}

// Plan is what `fleetctl up` would do. Of one that is not known JSON has null for each field.
type Plan struct {
	At      time.Time `json:"at,omitzero"` // when it was made; zero: it is not known
	Steps   []Step    `json:"steps"`
	Waiting []Step    `json:"waiting"` // Reason says for what
	Kept    []Step    `json:"kept"`    // left alone although something is wrong with it
	Refused string    `json:"refused"` // why it would not be carried out, "" if it would
}

// Step is one change of a plan.
type Step struct {
	Stage   string `json:"stage"`
	Action  string `json:"action"`
	Node    string `json:"node"`
	Subject string `json:"subject"` // a machine's ID or a record's value, "" if there is none yet
	Reason  string `json:"reason"`
}

// Collected is how the last collection of telemetry went.
type Collected struct {
	At       time.Time     `json:"at,omitzero"` // when the last one ended in which a relay answered; zero: none yet
	Took     time.Duration `json:"-"`           // zero: it is not known
	Every    time.Duration `json:"-"`           // zero: none is made here
	Error    string        `json:"error"`       // of the last one as a whole
	Answered *int          `json:"answered"`
}

// Event is something that happened to the fleet.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // "relay", "command" or "collection"
	Node string    `json:"node"` // "" if it is about no single one
	Text string    `json:"text"`
}

// Cost is what the fleet's machines cost in a month.
type Cost struct {
	Currency string  `json:"currency"`
	Monthly  float64 `json:"monthly"`
}
