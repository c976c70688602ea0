package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// serverRow is what one DNS server serves, asked in one way.
type serverRow struct {
	Server    string        `json:"server"`
	Name      string        `json:"name"` // of a name server; of a resolver its host
	Role      string        `json:"role"`
	Transport string        `json:"transport"` // that the answer for the entry name came by
	State     string        `json:"state"`
	Serial    *uint32       `json:"serial"`
	Records   *int          `json:"records"` // at all names, nil if unknown
	Missing   []recordsLeft `json:"missing"`
	Old       []recordsLeft `json:"old"`
	DNSSEC    string        `json:"dnssec"`
	Truncated bool          `json:"truncated"`
	Bytes     int           `json:"bytes"`
	TookMS    float64       `json:"took_ms"`
	Error     string        `json:"error"`
}

// recordsLeft is a record that a server serves and the zone does not hold, or the other way.
type recordsLeft struct {
	Name  string  `json:"name"`
	Value string  `json:"value"`
	Left  float64 `json:"left_secs"` // that what the server says may still be kept
}

func leftOf(all []resolve.Difference) []recordsLeft {
	out := make([]recordsLeft, 0, len(all))
	for _, d := range all {
		out = append(out, recordsLeft{Name: d.Name, Value: d.Value, Left: d.Left.Seconds()})
	}
	return out
}

// rows are the readings of a survey, in the order in which the servers were listed.
func (v survey) rows() []serverRow {
	out := make([]serverRow, 0, len(v.readings))
	for _, r := range v.readings {
		row := serverRow{
			Server: r.Source.Server.String(), Name: r.Source.Name, Role: string(r.Source.Role), Transport: string(r.Source.Server.Transport),
			State: string(r.State), Serial: r.Serial, Missing: leftOf(r.Missing), Old: leftOf(r.Old), DNSSEC: string(r.DNSSEC),
		}
		if r.Source.Server.Transport == resolve.Plain {
			row.Transport = string(resolve.UDP)
		}
		if len(r.Answers) > 0 {
			first := r.Answers[0]
			row.Transport, row.Truncated, row.Bytes = string(first.Transport), first.Truncated, first.Bytes
		}
		records := 0
		for _, a := range r.Answers {
			records += len(a.Records)
			row.TookMS += milliseconds(a.Took)
		}
		if r.State == resolve.InSync || r.State == resolve.Behind {
			row.Records = &records
		}
		if r.Err != nil {
			row.Error = r.Err.Error()
		}
		out = append(out, row)
	}
	return out
}

// serversTable shows them.
func serversTable(rows []serverRow) render.Table {
	t := render.Table{Title: "DNS servers", Columns: []render.Column{
		{Name: "server"}, {Name: "role"}, {Name: "by"}, {Name: "state"}, {Name: "records"}, {Name: "missing"}, {Name: "old"}, {Name: "left"},
		{Name: "dnssec"}, {Name: "serial"}, {Name: "bytes", Show: render.WideOnly}, {Name: "took", Show: render.WideOnly}, {Name: "name", Show: render.WideOnly},
		{Name: "error", Show: render.WideOnly},
	}, Empty: "no DNS server could be asked"}
	for _, r := range rows {
		t.Rows = append(t.Rows, []any{
			r.Server, r.Role, r.Transport, tonedState(r.State), r.Records, len(r.Missing), len(r.Old), r.longest(), r.DNSSEC, r.Serial,
			r.Bytes, time.Duration(r.TookMS * float64(time.Millisecond)), r.Name, r.Error,
		})
	}
	return t
}

// longest is how long the last of what a server has wrong may still be kept.
func (r serverRow) longest() any {
	var most float64
	for _, d := range append(append([]recordsLeft(nil), r.Missing...), r.Old...) {
		most = max(most, d.Left)
	}
	if most == 0 {
		return ""
	}
	return time.Duration(most) * time.Second
}

func tonedState(state string) render.Toned {
	tone := render.Bad
	switch resolve.State(state) {
	case resolve.InSync:
		tone = render.Good
	case resolve.Unknown:
		tone = render.Warn
	case resolve.Behind, resolve.Lame, resolve.Bogus:
	}
	return render.Toned{Value: state, Tone: tone}
}

// difference says in a line what a server has wrong.
func difference(r resolve.Reading) string {
	var parts []string
	tell := func(what string, all []resolve.Difference) {
		for i, d := range all {
			if i == 2 {
				parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
				return
			}
			text := what + " " + d.String()
			if d.Left > 0 && r.Source.Role == resolve.Resolver {
				text += ", for " + d.Left.String()
			}
			parts = append(parts, text)
		}
	}
	tell("lacks", r.Missing)
	tell("still serves", r.Old)
	return strings.Join(parts, "; ")
}

// dnssecOf sums up what is known of signatures: the worst that a resolver says; where none
// says anything, what the name servers have.
func dnssecOf(readings []resolve.Reading) resolve.DNSSEC {
	order := []resolve.DNSSEC{resolve.DNSSECUnset, resolve.Secure, resolve.Signed, resolve.Unsigned, resolve.Claimed}
	for _, role := range []resolve.Role{resolve.Resolver, resolve.Authoritative} {
		worst := 0
		for _, r := range readings {
			if r.Source.Role == role {
				worst = max(worst, slices.Index(order, r.DNSSEC))
			}
		}
		if worst > 0 {
			return order[worst]
		}
	}
	return resolve.DNSSECUnset
}
