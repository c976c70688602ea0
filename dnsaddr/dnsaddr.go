// Package dnsaddr publishes where relays are: multiaddrs as _dnsaddr TXT records.
//
// A client that knows only /dnsaddr/p2p.example asks DNS for the TXT records of
// _dnsaddr.p2p.example and gets values such as
//
//	dnsaddr=/ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…
//
// An [Addr] is such an address, checked: it parses as a multiaddr, it can be
// dialed, and it ends in the peer ID of exactly one relay. A [Record] is what a
// zone holds at the name, and says in its comment whose it is ([Owner]). [Diff]
// is the difference between the records that are there and the ones that ought to
// be; what belongs to somebody else is in neither side of it. A [Zone] is a place
// where records live; package zonetest is the suite that every zone passes.
//
// The format is that of the multiaddr project, protocols/DNSADDR.md.
package dnsaddr

import (
	"context"
	"time"
)

// Record is one TXT record at a name of a fleet.
type Record struct {
	// ID is the zone's own handle of the record, "" for one that is not there yet.
	ID string `json:"id,omitempty"`
	// Name is where the record stands, fully qualified, in lower case and without the
	// final dot: "_dnsaddr.p2p.example". In what is added, "" is the entry name.
	Name string `json:"name"`
	// Value is the text of the record as one string, unquoted: "dnsaddr=/ip4/…".
	Value string `json:"value"`
	// Split: the zone keeps the text in several strings, as somebody wrote it by hand. Some
	// clients read the first of them alone. What is added never is, and an update ends it.
	Split bool `json:"split,omitempty"`
	// TTL is a whole number of seconds. Zero never stands in a zone.
	TTL time.Duration `json:"ttl"`
	// Comment is the zone's note beside the record, "" where there is none. See [Owner].
	Comment string `json:"comment,omitempty"`
}

// Changes are writes to the names of one fleet. A zone makes them in the order of the
// fields, so that a name that had records never becomes empty in between.
type Changes struct {
	Add    []Record // IDs are ignored
	Update []Record // by ID: TTL and comment; name and value stay, the latter as one string
	Remove []Record // by ID
}

// Empty reports whether there is nothing to write.
func (c Changes) Empty() bool { return len(c.Add)+len(c.Update)+len(c.Remove) == 0 }

// Zone holds TXT records. Implementations are safe for concurrent use.
type Zone interface {
	// Records returns every TXT record at the entry name of a fleet, _dnsaddr.<domain>
	// (fully qualified, without the final dot), and at the names of its lists,
	// _dnsaddr.<label>.<domain> ([IsListName]); foreign ones included, in the order of
	// [Record.Compare]. Names without records are an empty slice and no error.
	Records(ctx context.Context, entry string) ([]Record, error)

	// Apply makes the changes at these names: adds, then updates, then removes, and
	// returns when the zone's own server answers with the result. Adding a record whose
	// value is already at its name under the same comment succeeds and makes no second
	// one; under another comment it is one more record, or [ErrBadRecord] where a value
	// stands at a name once. Removing one that is gone succeeds; updating one that is gone
	// is [ErrNoRecord]. What was edited since it was read is neither updated nor removed, and
	// no update takes a record from another fleet: [ErrEdited]. A record at any other name is
	// [ErrBadRecord]. After an error the zone may hold any prefix of the changes: read it
	// again.
	Apply(ctx context.Context, entry string, c Changes) error

	// Limits says what the zone accepts.
	Limits() Limits

	// Status says where and whether the zone is being served now, for people.
	// It never changes anything.
	Status(ctx context.Context) Status
}

// Closing is a [Zone] in which there are names at which no text can stand: aliases, and names
// that are delegated to other servers.
type Closing interface {
	// Closed says of names of the fleet at entry why no record can be added there. Those that
	// take records are left out. Right after Records it asks only for what that did not look at.
	Closed(ctx context.Context, entry string, names []string) (map[string]error, error)
}

// Limits of a zone.
type Limits struct {
	MinTTL, MaxTTL time.Duration
	// OneTTL: the records of one name share a TTL, as the DNS has it. The one that was
	// written last counts, the smallest if several were written at once, and is what
	// Records reports of all of them.
	OneTTL bool
}

// Status of a zone's service.
type Status struct {
	Kind    string `json:"kind"`             // "local", "cloudflare", …
	Server  string `json:"server,omitempty"` // host:port of an authoritative server that can be asked, "" if unknown
	Serving bool   `json:"serving"`
	Reason  string `json:"reason,omitempty"` // why not serving
}
