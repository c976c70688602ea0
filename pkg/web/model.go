package web

import (
	"cmp"
	"fmt"
	"strconv"
)

// model is a fleet in the words of the page.
type model struct {
	Fleet     Fleet
	Headline  phrase
	Tiles     []tile
	Attention []phrase
	Hidden    int // more of them
	Rows      []row
	Places    []place
	Nowhere   []string // regions that the map has no place for
	Regions   []regionRow
	Servers   []serverRow
	Charts    []chart
	Announce  string
}

// phrase is a sentence with its tone.
type phrase struct {
	Tone tone
	Text string
}

// Mark is the sign beside it.
func (p phrase) Mark() string { return p.Tone.mark() }

// tile is one number with its name.
type tile struct {
	Name, Value, Note string
	Tone              tone // "" is plain
}

// Mark is the sign beside a number that has a tone.
func (t tile) Mark() string {
	if t.Tone == "" || t.Tone == toneGood {
		return ""
	}
	return t.Tone.mark()
}

// row is a relay in the table.
type row struct {
	ID string // of its element
	Relay
	State     phrase
	Published phrase
	Verified  phrase
	Held      string // reservations, used and limit
	Share     int    // percent of them; -1 is unknown
	Connected string
	Runs      string // the version, or what else is known of it
	First     string // address
}

// regionRow is a region in the table beside the map.
type regionRow struct {
	Region         string
	Serve, All     int
	Unknown        int
	Tone           tone
	Used, Limit    int
	UsedUnknown    bool
	ReservationsOf string
}

// Mark is the sign of its tone.
func (r regionRow) Mark() string { return r.Tone.mark() }

// serverRow is a DNS server.
type serverRow struct {
	Name, Detail string
	Sign         phrase
}

// attentionLimit is how many sentences the list of what is wrong has.
const attentionLimit = 25

func newModel(f Fleet) model {
	m := model{Fleet: f, Headline: headline(f), Tiles: tiles(f)}
	seen := make(map[string]int)
	for _, r := range f.Relays {
		seen[r.Node]++
		m.Rows = append(m.Rows, newRow(r, seen[r.Node]))
	}
	all := attention(f)
	m.Attention = all[:min(len(all), attentionLimit)]
	m.Hidden = len(all) - len(m.Attention)
	m.Regions = regionRows(f.Relays)
	m.Places, m.Nowhere = places(m.Regions)
	for _, s := range f.Zone.Servers {
		m.Servers = append(m.Servers, serverRow{Name: s.Name, Detail: s.Detail, Sign: phrase{serverTone(s.State), s.State}})
	}
	for _, s := range f.Charts {
		m.Charts = append(m.Charts, newChart(cleanSeries(s)))
	}
	if len(f.Events) > 0 {
		m.Announce = clock(f.Events[0].At) + " " + f.Events[0].Text
	}
	return m
}

// headline is the state of the fleet in a sentence.
func headline(f Fleet) phrase {
	if f.At.IsZero() {
		return phrase{toneUnknown, "Nothing is known yet: the first look is under way"}
	}
	serve, unknown := serving(f.Relays)
	text := fmt.Sprintf("%d of %s serve", serve, relays(f.Wanted))
	if unknown > 0 {
		text += fmt.Sprintf("; %d unknown", unknown)
	}
	switch {
	case f.Verified != nil && *f.Verified < f.Floor, serve == 0 && unknown == 0 && f.Wanted > 0:
		return phrase{toneBad, text}
	case unknown > 0:
		return phrase{toneUnknown, text}
	case serve < f.Wanted:
		return phrase{toneWarn, text}
	}
	return phrase{toneGood, text}
}

func relays(n int) string {
	if n == 1 {
		return "1 relay"
	}
	return strconv.Itoa(n) + " relays"
}

func newRow(r Relay, nth int) row {
	out := row{
		ID: "row-" + r.Node, Relay: r, State: phrase{toneOf(r.State), r.State},
		Published: answer(r.Published, "published", "not published", toneWarn),
		Verified:  answer(r.Verified, "yes", "no", toneBad),
		Held:      count(r.Reservations), Share: -1, Connected: count(r.Users), Runs: cmp.Or(r.Version, "unknown"),
	}
	if r.Version == "" && r.old() {
		out.Runs = "old"
	}
	if nth > 1 {
		out.ID += "-" + strconv.Itoa(nth)
	}
	if r.Published != nil && !*r.Published && r.Verified != nil && !*r.Verified {
		out.Verified.Tone = toneWarn // what nobody is sent to strands nobody
	}
	if r.ReservationLimit != nil && *r.ReservationLimit > 0 {
		out.Held += " of " + number(float64(*r.ReservationLimit))
		if r.Reservations != nil {
			out.Share = min(100, 100**r.Reservations / *r.ReservationLimit)
		}
	}
	if len(r.Addresses) > 0 {
		out.First = r.Addresses[0]
	}
	return out
}

// answer is yes, no or unknown in words.
func answer(v *bool, yes, no string, bad tone) phrase {
	switch {
	case v == nil:
		return phrase{toneUnknown, "unknown"}
	case *v:
		return phrase{toneGood, yes}
	}
	return phrase{bad, no}
}

func regionRows(all []Relay) []regionRow {
	by := make(map[string]*regionRow)
	for _, r := range all {
		row, ok := by[r.Region]
		if !ok {
			row = &regionRow{Region: r.Region, Tone: toneGood}
			by[r.Region] = row
		}
		row.All++
		t := toneOf(r.State)
		if t.severity() < row.Tone.severity() {
			row.Tone = t
		}
		serve, unknown := serving([]Relay{r})
		row.Serve, row.Unknown = row.Serve+serve, row.Unknown+unknown
		if r.Reservations == nil {
			row.UsedUnknown = true
			continue
		}
		row.Used += *r.Reservations
	}
	out := make([]regionRow, 0, len(by))
	for _, name := range regions(all) {
		row := *by[name]
		row.ReservationsOf = number(float64(row.Used))
		if row.UsedUnknown {
			row.ReservationsOf = "unknown"
			if row.Used > 0 {
				row.ReservationsOf = "at least " + number(float64(row.Used))
			}
		}
		out = append(out, row)
	}
	return out
}
