package fleet

import (
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Observed is a reading: a value, or the reason why there is none. Unknown is not absent.
type Observed[T any] struct {
	Value T
	Err   error
}

// OK reports whether the reading succeeded.
func (o Observed[T]) OK() bool { return o.Err == nil }

// State is everything that was observed of a fleet at one time.
type State struct {
	At        time.Time
	Machines  Observed[[]Machine]              // ours, sorted by ID
	Relays    map[string]Observed[Relay]       // by machine ID
	Records   Observed[[]dnsaddr.Record]       // every TXT record at our name, foreign ones too
	Closed    Observed[map[string]error]       // why no record can be added at a name of the layout, by name; of the others nothing
	Leftovers Observed[[]string]               // what the provider keeps beside the machines
	Shared    Observed[[]Drift]                // of what the provider keeps for all machines: the firewall
	Quote     Observed[Quote]                  // of what the plan buys; the zero value before anybody asked
	Probes    map[dnsaddr.Addr]Observed[Probe] // of every published address and of every address that ought to be
}

// Intent is what the operator asked of this run beside the spec. The zero value is a plain up.
type Intent struct {
	Release     Release  `json:"release"`                // the relay binary for boxes that need one
	Upgrade     bool     `json:"upgrade,omitempty"`      // replace the binary of serving relays, too
	Force       bool     `json:"force,omitempty"`        // restart a relay that was restarted less than an hour ago
	Down        bool     `json:"down,omitempty"`         // remove everything that is ours
	RecordsOnly bool     `json:"records_only,omitempty"` // dnsaddr sync: touch records and nothing else
	Replace     []string `json:"replace,omitempty"`      // IDs of machines that shall be replaced
	MachineGone []string `json:"machine_gone,omitempty"` // nodes whose machine is gone although its relay answers
	Abandon     []string `json:"abandon,omitempty"`      // nodes whose dead box may go, census and all
	Adopt       bool     `json:"adopt,omitempty"`        // take over our relays' records that carry a comment of somebody else
	Unverified  bool     `json:"unverified,omitempty"`   // publish addresses that did not pass a probe
	NewPeerID   []string `json:"new_peer_id,omitempty"`  // nodes whose relay may have another peer ID than it was published with
	MaxDeletes  int      `json:"max_deletes,omitempty"`  // nodes that may leave DNS without a successor; 0: max(1, 30 %)
	Most        *int     `json:"most,omitempty"`         // have at most so many machines, those on their way out too; nil: no bound
}
