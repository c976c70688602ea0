package relay

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/stats"
)

// TestTruth_EveryFigureOfAWeekIsWhatHappened lives one week of a made-up population on three
// relays (their real ledgers and files; clocks that differ, restarts, a crash, a relay that is
// not reached for two days, one that is made anew with another key) while a collector
// follows, and compares what the history says in the end with what happened.
func TestTruth_EveryFigureOfAWeekIsWhatHappened(t *testing.T) {
	w := newWorld(t, 400)
	store, err := history.Open(t.Context(), filepath.Join(t.TempDir(), history.FileName), history.Options{Collector: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	w.live(store)

	got := w.asked(store)
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "metric\ttruth\tours\tdifference")
	for _, fact := range w.facts() {
		ours, known := got[fact.name]
		switch {
		case !known:
			fmt.Fprintf(out, "%s\t%v\tunknown\t\n", fact.name, fact.truth)
			t.Errorf("%s: got nothing, want %v", fact.name, fact.truth)
		default:
			fmt.Fprintf(out, "%s\t%v\t%v\t%v\n", fact.name, fact.truth, ours, ours-fact.truth)
			if math.Abs(ours-fact.truth) > 1e-9*math.Abs(fact.truth) {
				t.Errorf("%s: got %v, want %v", fact.name, ours, fact.truth)
			}
			delete(got, fact.name)
		}
	}
	for name, n := range got { // what there is in truth was taken out
		metric, _, isPart := strings.Cut(name, "/")
		if m, _ := stats.MetricOf(metric); isPart && m.Kind == stats.KindMoment && n != 0 {
			t.Errorf("%s: got %v, want no such part", name, n)
		}
	}
	_ = out.Flush()
	t.Logf("one week, %d peers, %d relays:\n%s", len(w.peers), len(w.relays), table.String())
}

// asked is what the store says, by the names of [world.facts].
func (w *world) asked(store *history.Store) map[string]float64 {
	w.t.Helper()
	got := make(map[string]float64)
	figures, err := store.Figures(w.t.Context(), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	put := func(name string, f stats.Figure) {
		if f.Value != nil {
			got[name] = *f.Value
		}
	}
	for metric, f := range figures.Values {
		put(metric, f)
	}
	for metric, parts := range figures.Parts {
		for label, f := range parts {
			put(metric+"/"+label, f)
		}
	}
	got["own keys"] = float64(figures.Own)
	for _, metric := range []string{"new_peers", "returning_peers", "joins", "leaves", "sessions", "reservations_granted", "reservations_refused", "circuits_opened", "circuits_refused", "bytes_relayed"} {
		series, err := store.Series(w.t.Context(), metric, history.Query{Since: week, Until: w.now, Step: history.StepDay, Location: time.UTC})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range series {
			sum := 0.0
			for i, p := range s.Points {
				if p.Value == nil {
					continue
				}
				sum += *p.Value
				put(fmt.Sprintf("%s, day %d", metric, i+1), p.Figure)
			}
			got[metric+", week"] = sum
		}
	}
	w.askedBy(store, got)
	overlap, err := store.Overlap(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range overlap {
		got[fmt.Sprintf("known to %d relays", o.Relays)] = float64(o.Peers)
	}
	return got
}

// askedBy is what the store says of the parts of what is counted over time, and of what is a
// state or a mean.
func (w *world) askedBy(store *history.Store, got map[string]float64) {
	w.t.Helper()
	ask := func(metric string, step history.Step, by bool) []stats.Series {
		series, err := store.Series(w.t.Context(), metric, history.Query{Since: week, Until: w.now, Step: step, Location: time.UTC, By: by})
		if err != nil {
			w.t.Fatal(err)
		}
		return series
	}
	for _, metric := range []string{"sessions", "reservations_refused", "circuits_refused"} {
		for _, s := range ask(metric, history.StepDay, true) {
			for _, p := range s.Points {
				if p.Value != nil {
					got[metric+"/"+s.Label+", week"] += *p.Value
				}
			}
		}
	}
	for _, s := range ask("relays_answering", history.StepDay, false) {
		for i, p := range s.Points {
			if p.Value != nil {
				got[fmt.Sprintf("relays_answering, day %d", i+1)] = *p.Value
			}
		}
	}
	for _, s := range ask("session_length_seconds", history.StepMonth, false) {
		if f := s.Points[0].Figure; f.Value != nil {
			got["session_length_seconds, week"] = *f.Value
		}
	}
	cohorts, err := store.Cohorts(w.t.Context(), w.now, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, c := range cohorts {
		for later, f := range c.Active {
			if f.Value != nil {
				got[fmt.Sprintf("cohort %d, %d weeks later", i+1, later)] = *f.Value
			}
		}
	}
}

// fact is one figure as it is in truth.
type fact struct {
	name  string
	truth float64
}

// facts are what happened, in the words of the metrics.
func (w *world) facts() []fact {
	var all []fact
	say := func(name string, n float64) { all = append(all, fact{name, n}) }
	met := slices.DeleteFunc(slices.Clone(w.peers), func(p *person) bool { return p.first.IsZero() })
	within := func(span time.Duration) (n float64) {
		for _, p := range met {
			if !p.last.Before(w.now.Add(-span)) {
				n++
			}
		}
		return n
	}
	say("lifetime_unique_peers", float64(len(met)))
	say("active_peers_24h", within(24*time.Hour))
	say("active_peers_7d", within(7*24*time.Hour))
	say("active_peers_30d", within(30*24*time.Hour))
	say("new_peers, week", float64(len(met)))
	for day := range 7 {
		begin, fresh, back := week.AddDate(0, 0, day), 0.0, 0.0
		for _, p := range met {
			switch first := p.first.Truncate(24 * time.Hour); {
			case first.Equal(begin):
				fresh++
			case p.days[begin]:
				back++
			}
		}
		say(fmt.Sprintf("new_peers, day %d", day+1), fresh)
		if day != 3 && day != 4 { // one relay was not reached: of those days a census has the last sight alone
			say(fmt.Sprintf("returning_peers, day %d", day+1), back)
		}
	}
	say("joins, week", float64(w.done.Joined))
	say("leaves, week", float64(w.done.Left))
	say("sessions, week", float64(w.done.Sessions))
	say("session_length_seconds, week", float64(w.done.SessionSecs)/float64(w.done.Sessions))
	say("reservations_granted, week", float64(w.done.Granted))
	say("reservations_refused, week", sumOf(w.done.RefusedReserve))
	say("circuits_opened, week", float64(w.done.Circuits))
	say("circuits_refused, week", sumOf(w.done.RefusedCircuit))
	say("bytes_relayed, week", float64(w.done.BytesRelayed))
	now, peak := w.concurrent()
	say("concurrent_peers", now)
	say("peak_concurrent_peers", peak)
	say("own keys", float64(len(w.own)))
	counts := make(map[string]float64)
	for _, p := range met {
		counts["peers_by_tier/"+p.tier]++
		counts["peers_by_transport/"+p.transport]++
		counts["peers_by_family/"+p.family]++
		counts["peers_by_agent/"+p.program]++
		counts["peers_by_region/"+p.region]++
		counts["peers_by_version/"+strings.TrimSuffix(p.agent, "/"+p.tier)]++
		counts[fmt.Sprintf("known to %d relays", len(p.met))]++
		counts[fmt.Sprintf("relay_overlap/%d", len(p.met))]++
		monday := week.AddDate(0, 0, 4)
		back := 0.0
		for day := range p.days {
			if !day.Before(monday) {
				back = 1
			}
		}
		if p.first.Before(monday) {
			counts["cohort 1, 0 weeks later"]++
			counts["cohort 1, 1 weeks later"] += back
		} else {
			counts["cohort 2, 0 weeks later"]++
		}
	}
	for i, n := range w.lengths {
		counts["sessions/"+history.SessionLabels()[i]+", week"] = n
	}
	for metric, refused := range map[string]map[string]uint64{"reservations_refused": w.done.RefusedReserve, "circuits_refused": w.done.RefusedCircuit} {
		for why, n := range refused {
			counts[metric+"/"+why+", week"] = float64(n)
		}
	}
	for _, v := range w.relays {
		counts["nat_status/"+strings.ToLower(v.nat.String())]++
	}
	counts["relays_answering"] = float64(len(w.relays))
	for day := range 7 {
		counts[fmt.Sprintf("relays_answering, day %d", day+1)] = float64(len(w.relays))
		if day == 3 || day == 4 {
			counts[fmt.Sprintf("relays_answering, day %d", day+1)]-- // one is not reached in the evening
		}
	}
	for _, name := range sortedKeys(counts) {
		say(name, counts[name])
	}
	return all
}

func sumOf(in map[string]uint64) (n float64) {
	for _, v := range in {
		n += float64(v)
	}
	return n
}

// collect reads every relay as a collector does and takes it in.
func (w *world) collect(ctx context.Context, store *history.Store) {
	w.t.Helper()
	var readings []stats.Reading
	for _, v := range w.relays {
		reading := stats.Reading{Node: v.node, Region: v.region, At: w.now}
		if v.away {
			reading.Err = fmt.Errorf("%s: connection refused", v.node)
			readings = append(readings, reading)
			continue
		}
		cursor, err := store.Cursor(ctx, v.node)
		if err != nil {
			w.t.Fatal(err)
		}
		told := v.relay.telemetry(v.since, w.now.Add(v.skew))
		reading.Telemetry, reading.PeerID, reading.Cursor = &told, told.PeerID, cursor
		reading.Delta = []stats.CensusEntry{}
		for more := true; more; {
			head, page, end, err := v.relay.ledger.delta(reading.Cursor)
			if err != nil {
				w.t.Fatal(err)
			}
			reading.DeltaFull = reading.DeltaFull || head.Full
			reading.Delta = append(reading.Delta, page...)
			reading.Cursor, more = end.Cursor, end.More
		}
		v.since = told.Now - 120
		readings = append(readings, reading)
	}
	if _, err := store.Ingest(ctx, w.now, readings); err != nil {
		w.t.Fatal(err)
	}
}
