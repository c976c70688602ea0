package resolve

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Difference is one record that a server serves and the zone does not hold, or the other
// way round.
type Difference struct {
	Name  string
	Value string
	Left  time.Duration // how long what the server says of the name may still be kept
}

// String is the record, for people: the beginning of its value, which came from outside and
// may hold any bytes, and its name.
func (d Difference) String() string {
	value := d.Value
	if len(value) > dnsaddr.MaxString {
		value = value[:dnsaddr.MaxString] + "…"
	}
	return fmt.Sprintf("%s at %s", value, d.Name)
}

// compare says what of want an answer lacks, and what it has beside it.
func compare(name string, a Answer, want []string) (missing, old []Difference) {
	left := a.TTL()
	if len(a.Records) == 0 {
		left = a.Nothing
	}
	have := make(map[string]bool, len(a.Records))
	for _, r := range a.Records {
		if have[r.Value] {
			continue
		}
		have[r.Value] = true
		if _, ok := slices.BinarySearch(want, r.Value); !ok {
			old = append(old, Difference{Name: name, Value: r.Value, Left: r.TTL})
		}
	}
	for _, v := range want {
		if !have[v] {
			missing = append(missing, Difference{Name: name, Value: v, Left: left})
		}
	}
	slices.SortFunc(old, func(a, b Difference) int { return strings.Compare(a.Value, b.Value) })
	return missing, old
}
