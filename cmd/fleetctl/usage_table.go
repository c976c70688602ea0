package main

import (
	"fmt"
	"time"

	"github.com/relayfleet/fleetctl/pkg/render"
)

func (v usageView) Table() render.Table {
	t := render.Table{
		Facts: []render.Fact{
			{Name: "reservations", Value: share(v.Total.Reservations, v.Total.ReservationLimit, v.Total.ReservationsPartial, count)},
			{Name: "relayed in " + v.Month, Value: share(v.Total.BytesMonth, v.Total.Transfer, v.Total.BytesPartial, bytesText)},
			{Name: "active peers, 30 days", Value: v.activeText()},
			{Name: "cost of a month", Value: v.monthly()},
			{Name: "cost of an active peer", Value: v.perPeer()},
			{Name: "as of", Value: v.GeneratedAt},
			{Name: "month as of", Value: v.CollectedAt},
		},
		Columns: []render.Column{
			{Name: "node"}, {Name: "status"}, {Name: "users"}, {Name: "reservations"}, {Name: "limit"}, {Name: "held"},
			{Name: "memory", Drop: 3}, {Name: "users' bytes", Drop: 2}, {Name: "own bytes", Drop: 2}, {Name: "month, both"}, {Name: "transfer", Drop: 1}, {Name: "monthly", Drop: 4},
		},
		Empty: "no relays",
		Notes: v.Notes,
	}
	for _, r := range v.Relays {
		status := render.Toned{Value: r.Status, Tone: render.Good}
		switch r.Status {
		case usageUnreachable:
			status.Tone = render.Bad
		case usageOld, usagePartial:
			status.Tone = render.Warn
		}
		var month any
		if r.BytesMonth != nil {
			month = atLeast(bytesText(*r.BytesMonth), r.BytesAtLeast)
		}
		t.Rows = append(t.Rows, []any{
			r.Node, status, r.Users, r.Reservations, r.ReservationLimit, percent(r.Reservations, r.ReservationLimit),
			percent(r.Memory, r.MemoryLimit), bytesCell(r.BytesRelayed), bytesCell(r.OwnBytes), month, bytesCell(r.Transfer), v.amount(r.Monthly, "%.2f"),
		})
	}
	return t
}

// CSV is a row for each relay, with plain numbers.
func (v usageView) CSV() render.Table {
	t := render.Table{}
	for _, name := range []string{
		"node", "region", "status", "users", "reservations", "reservation_limit", "memory_bytes", "memory_limit_bytes", "bytes_relayed",
		"month", "bytes_month", "bytes_month_partial", "transfer_bytes", "monthly", "currency", "error", "own_bytes_relayed",
	} {
		t.Columns = append(t.Columns, render.Column{Name: name})
	}
	for _, r := range v.Relays {
		var partial any
		if r.BytesMonth != nil {
			partial = r.BytesAtLeast
		}
		t.Rows = append(t.Rows, []any{
			r.Node, r.Region, r.Status, r.Users, r.Reservations, r.ReservationLimit, r.Memory, r.MemoryLimit, r.BytesRelayed,
			v.Month, r.BytesMonth, partial, r.Transfer, r.Monthly, v.Cost.Currency, r.Error, r.OwnBytes,
		})
	}
	return t
}

// share is "12 of 3072 (0.4 %)", as far as it is known; nil if nothing is.
func share(used, limit *uint64, partial bool, text func(uint64) string) any {
	if used == nil {
		return nil
	}
	said := atLeast(text(*used), partial)
	if limit == nil || *limit == 0 {
		return said
	}
	return fmt.Sprintf("%s of %s (%s)", said, text(*limit), percentText(*used, *limit))
}

func (v usageView) activeText() any {
	if v.ActivePeers.Value == nil {
		return nil
	}
	said := atLeast(count(*v.ActivePeers.Value), v.ActivePeers.AtLeast)
	if v.ActivePeers.Error > 0 {
		said += fmt.Sprintf(" ± %.1f %%", 100*v.ActivePeers.Error)
	}
	if len(v.ActivePeers.Missing) > 0 {
		said += ", without " + render.Names(v.ActivePeers.Missing, mostNames)
	}
	return said + v.activeAt()
}

// activeAt says from when the active peers are, if that is not now.
func (v usageView) activeAt() string {
	if v.ActivePeers.AsOf.IsZero() || v.ActivePeers.AsOf.Equal(v.GeneratedAt) {
		return ""
	}
	return ", as of " + utc(v.ActivePeers.AsOf)
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// monthly is the price of the fleet; that it has none is known, too.
func (v usageView) monthly() any {
	if v.free {
		return "nothing"
	}
	return v.amount(v.Cost.Monthly, "%.2f")
}

func (v usageView) perPeer() any {
	said := v.amount(v.Cost.PerPeer, "%.4f")
	if said == nil {
		return nil
	}
	if v.Cost.AtMost {
		said = fmt.Sprintf("at most %s", said)
	}
	return fmt.Sprint(said, v.activeAt())
}

// amount is money, nil if it is not known.
func (v usageView) amount(value *float64, format string) any {
	if value == nil {
		return nil
	}
	return fmt.Sprintf(format+" %s", *value, v.Cost.Currency)
}

func atLeast(text string, partial bool) string {
	if partial {
		return "at least " + text
	}
	return text
}

func count(n uint64) string { return fmt.Sprint(n) }

func percent(used, limit *uint64) any {
	if used == nil || limit == nil || *limit == 0 {
		return nil
	}
	return percentText(*used, *limit)
}

func percentText(used, limit uint64) string {
	return fmt.Sprintf("%.1f %%", 100*float64(used)/float64(limit))
}

func bytesCell(n *uint64) any {
	if n == nil {
		return nil
	}
	return bytesText(*n)
}

// bytesText is a number of bytes for people, in units of 1000: "1.2 GB".
func bytesText(n uint64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 999.95 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
