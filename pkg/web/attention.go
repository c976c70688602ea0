package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// attention lists what somebody should look at, the worst first.
func attention(f Fleet) []phrase {
	if f.At.IsZero() {
		return nil
	}
	var out []phrase
	say := func(t tone, format string, args ...any) { out = append(out, phrase{t, fmt.Sprintf(format, args...)}) }
	switch {
	case f.Verified == nil:
		say(toneUnknown, "How many published relays serve is unknown; at least %d are needed", f.Floor)
	case *f.Verified < f.Floor:
		say(toneBad, "%s verified in DNS: at least %d are needed", relays(*f.Verified), f.Floor)
	}
	for _, e := range f.Errors {
		say(toneUnknown, "Not read: %s", e)
	}
	for _, r := range f.Relays {
		relayAttention(r, say)
	}
	zoneAttention(f.Zone, say)
	if f.Plan.Refused != "" {
		say(toneWarn, "'fleetctl up' would be refused: %s", f.Plan.Refused)
	}
	for _, k := range f.Plan.Kept {
		say(toneWarn, "%s is left alone: %s", cmp.Or(k.Node, k.Subject), k.Reason)
	}
	if f.Collected.Error != "" {
		say(toneWarn, "Telemetry was not collected: %s", f.Collected.Error)
	}
	slices.SortStableFunc(out, func(a, b phrase) int { return a.Tone.severity() - b.Tone.severity() })
	return out
}

type sayer func(t tone, format string, args ...any)

func relayAttention(r Relay, say sayer) {
	if t := toneOf(r.State); t != toneGood {
		text := r.Node + " is " + r.State
		if r.Reason != "" {
			text += ": " + strings.TrimSuffix(r.Reason, ".")
		}
		say(t, "%s", text)
	}
	published := r.Published != nil && *r.Published
	if published && r.Verified != nil && !*r.Verified && toneOf(r.State) == toneGood {
		say(toneBad, "%s is published and a probe found it not serving", r.Node)
	}
	if r.CensusDamaged != nil && *r.CensusDamaged {
		say(toneWarn, "the census of %s is damaged", r.Node)
	}
	if r.Answering != nil && !*r.Answering && toneOf(r.State) == toneGood {
		say(toneWarn, "%s did not answer the last collection: numbers of peers are at least so large", r.Node)
	}
	if r.Reservations != nil && r.ReservationLimit != nil && *r.ReservationLimit > 0 && 10**r.Reservations >= 9**r.ReservationLimit {
		say(toneWarn, "%s holds %s of %s reservations", r.Node, count(r.Reservations), count(r.ReservationLimit))
	}
	for _, w := range r.Warnings {
		say(toneWarn, "%s: %s", r.Node, w)
	}
}

func zoneAttention(z Zone, say sayer) {
	if z.Error != "" {
		say(toneUnknown, "The records at %s were not read: %s", z.Name, z.Error)
	}
	if z.Differences != nil && *z.Differences > 0 {
		say(toneWarn, "%s at %s would be changed by 'fleetctl dnsaddr sync'", records(*z.Differences), z.Name)
	}
	for _, s := range z.Servers {
		if t := serverTone(s.State); t != toneGood {
			say(t, "DNS server %s is %s: %s", s.Name, s.State, s.Detail)
		}
	}
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// serverTone is the tone of what a DNS server serves.
func serverTone(state string) tone {
	switch state {
	case "in sync":
		return toneGood
	case "", "unknown":
		return toneUnknown
	}
	return toneWarn
}
