package web

import (
	"maps"
	"slices"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// Bounds of what is shown. A relay may say anything.
const (
	wordLimit   = 80  // characters of a name
	reasonLimit = 400 // of a sentence
	listLimit   = 200 // elements of a list of events, steps or addresses
)

// clean is a fleet without control characters, marks that turn text around, and texts
// without end, and with lists where JSON needs them: nil is unknown where that can be.
func clean(f Fleet) Fleet {
	f.Name, f.Version = word(f.Name), word(f.Version)
	f.Relays = each(f.Relays, len(f.Relays), cleanRelay)
	f.Errors = each(f.Errors, listLimit, sentence)
	f.Events = each(f.Events, listLimit, func(e Event) Event {
		e.Kind, e.Node, e.Text = word(e.Kind), word(e.Node), sentence(e.Text)
		return e
	})
	f.Zone.Name, f.Zone.Error = render.SafeUpTo(f.Zone.Name, 255), sentence(f.Zone.Error)
	f.Zone.Servers = eachKnown(f.Zone.Servers, listLimit, func(s NameServer) NameServer {
		return NameServer{Name: render.SafeUpTo(s.Name, 255), State: word(s.State), Detail: sentence(s.Detail)}
	})
	f.Plan.Steps = each(f.Plan.Steps, len(f.Plan.Steps), cleanStep)
	f.Plan.Waiting = each(f.Plan.Waiting, len(f.Plan.Waiting), cleanStep)
	f.Plan.Kept = each(f.Plan.Kept, len(f.Plan.Kept), cleanStep)
	f.Plan.Refused = sentence(f.Plan.Refused)
	f.Collected.Error = sentence(f.Collected.Error)
	f.Cost = eachKnown(f.Cost, listLimit, func(c Cost) Cost { return Cost{Currency: word(c.Currency), Monthly: c.Monthly} })
	figures := make(map[string]stats.Figure, len(f.Figures))
	for name, figure := range f.Figures {
		figures[word(name)] = cleanFigure(figure)
	}
	f.Figures = figures
	f.Charts = slices.Clone(f.Charts)
	return f
}

func cleanRelay(r Relay) Relay {
	r.Node, r.Region, r.State, r.Version = word(r.Node), word(r.Region), word(r.State), word(r.Version)
	r.PeerID, r.Reason = render.SafeUpTo(r.PeerID, 128), sentence(r.Reason)
	r.Addresses = each(r.Addresses, listLimit, func(a string) string { return render.SafeUpTo(a, 255) })
	r.Warnings = each(r.Warnings, listLimit, sentence)
	if r.State == "" {
		r.State = "unknown"
	}
	return r
}

func cleanStep(s Step) Step {
	return Step{Stage: word(s.Stage), Action: word(s.Action), Node: word(s.Node), Subject: render.SafeUpTo(s.Subject, 255), Reason: sentence(s.Reason)}
}

func cleanFigure(f stats.Figure) stats.Figure {
	f.Missing = each(f.Missing, len(f.Missing), word)
	return f
}

// cleanSeries is a series as JSON tells it. Its label may be what clients call themselves.
func cleanSeries(s stats.Series) stats.Series {
	s.Metric, s.Unit, s.Label = word(s.Metric), word(s.Unit), word(s.Label)
	s.Points = each(s.Points, len(s.Points), func(p stats.Point) stats.Point {
		p.Figure = cleanFigure(p.Figure)
		return p
	})
	return s
}

func word(s string) string     { return render.SafeUpTo(s, wordLimit) }
func sentence(s string) string { return render.SafeUpTo(s, reasonLimit) }

// each makes a new list of at most limit elements; it is never nil.
func each[T any](list []T, limit int, f func(T) T) []T {
	out := make([]T, 0, min(len(list), limit))
	for _, v := range list[:min(len(list), limit)] {
		out = append(out, f(v))
	}
	return out
}

// eachKnown is each of a list that may be unknown, which is nil.
func eachKnown[T any](list []T, limit int, f func(T) T) []T {
	if list == nil {
		return nil
	}
	return each(list, limit, f)
}

// regions lists the regions of relays, sorted.
func regions(relays []Relay) []string {
	all := make(map[string]bool)
	for _, r := range relays {
		all[r.Region] = true
	}
	return slices.Sorted(maps.Keys(all))
}
