package web

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/stats"
)

// tiles are the numbers at the head of the page.
func tiles(f Fleet) []tile {
	serve, unknown := serving(f.Relays)
	first := tile{Name: "Serving", Value: fmt.Sprintf("%d of %d", serve, f.Wanted), Tone: headline(f).Tone}
	if unknown > 0 {
		first.Note = strconv.Itoa(unknown) + " unknown"
	}
	if f.At.IsZero() {
		first = tile{Name: "Serving", Value: "unknown", Tone: toneUnknown}
	}
	verified := tile{Name: "Verified in DNS", Value: count(f.Verified), Note: "at least " + strconv.Itoa(f.Floor) + " are needed", Tone: toneGood}
	switch {
	case f.Verified == nil:
		verified.Tone = toneUnknown
	case *f.Verified < f.Floor:
		verified.Tone = toneBad
	}
	dns := tile{Name: "Records that differ", Value: count(f.Zone.Differences), Tone: toneGood}
	switch {
	case f.Zone.Differences == nil:
		dns.Tone = toneUnknown
	case *f.Zone.Differences > 0:
		dns.Tone = toneWarn
	}
	return append([]tile{first, verified, dns, held(f.Relays)}, peerTiles(f)...)
}

// held is the tile of the reservations in use.
func held(all []Relay) tile {
	t := tile{Name: "Reservations"}
	used, limit, silent := 0, 0, 0
	for _, r := range all {
		if r.Reservations == nil {
			silent++
			continue
		}
		used += *r.Reservations
		if r.ReservationLimit != nil {
			limit += *r.ReservationLimit
		}
	}
	switch {
	case silent == len(all):
		t.Value, t.Tone = "unknown", toneUnknown
		return t
	case silent > 0:
		t.Note = fmt.Sprintf("at least: %d of %s did not say", silent, relays(len(all)))
	case limit > 0:
		t.Note = "of " + number(float64(limit))
	}
	t.Value = number(float64(used))
	return t
}

// peerTiles are the tiles of what was collected.
func peerTiles(f Fleet) []tile {
	var out []tile
	for _, of := range []struct{ metric, name string }{
		{"lifetime_unique_peers", "Peers ever seen"}, {"active_peers_24h", "Active in 24 hours"}, {"concurrent_peers", "Connected at once"},
	} {
		figure := f.Figures[of.metric]
		t := tile{Name: of.name, Value: "unknown", Tone: toneUnknown}
		if figure.Value != nil {
			t = tile{Name: of.name, Value: number(*figure.Value), Note: qualified(figure)}
			when := ""
			switch at := f.Collected.At; {
			case of.metric == "concurrent_peers" && !figure.Since.IsZero(): // of the newest minute that is known of most
				when = "at " + figure.Since.UTC().Format("15:04 UTC")
			case at.IsZero():
			case f.Collected.Answered == nil: // what is known is old
				when = "as of " + clock(at)
			default:
				when = "as of " + at.UTC().Format("15:04 UTC")
			}
			if when != "" {
				t.Note = strings.TrimSuffix(when+"; "+t.Note, "; ")
			}
		}
		out = append(out, t)
	}
	return out
}

// qualified is what has to be said about a figure.
func qualified(f stats.Figure) string {
	var notes []string
	if f.AtLeast || f.EitherWay() {
		note := "at least"
		if f.EitherWay() {
			note = "not of all"
		}
		if len(f.Missing) > 0 {
			note += ": no answer from " + strings.Join(f.Missing[:min(len(f.Missing), 3)], ", ")
			if more := len(f.Missing) - 3; more > 0 {
				note += " and " + strconv.Itoa(more) + " more"
			}
		}
		notes = append(notes, note)
	}
	if !f.Exact() {
		notes = append(notes, fmt.Sprintf("estimated, ± %.1f %%", 100*f.Error))
	}
	return strings.Join(notes, "; ")
}
