package web

import (
	_ "embed" // the description of the API
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

//go:embed openapi.json
var openapi []byte

// routeAPI adds what openapi.json describes.
func (s *Server) routeAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(openapi)
	})
	for path, answer := range map[string]func(Fleet) any{
		"fleet":        func(f Fleet) any { return s.summary(f) },
		"relays":       func(f Fleet) any { return relaysAnswer{At: f.At, Relays: f.Relays} },
		"plan":         func(f Fleet) any { return f.Plan },
		"events":       func(f Fleet) any { return eventsAnswer{At: f.At, Events: f.Events} },
		"metrics-list": func(Fleet) any { return metricsList() },
	} {
		mux.HandleFunc("GET /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
			if _, ok := params(w, r); ok {
				send(w, http.StatusOK, answer(s.now().fleet))
			}
		})
	}
	mux.HandleFunc("GET /api/v1/series", s.serveSeries)
}

// summary is the answer of /api/v1/fleet.
func (s *Server) summary(f Fleet) any {
	serve, unknown := serving(f.Relays)
	return struct {
		Fleet
		Stale   bool `json:"stale"`   // older than it ought to be: what reads it does not
		Serving int  `json:"serving"` // relays that serve; at least so many while some are unknown
		Unknown int  `json:"unknown"` // relays of which nobody knows
	}{f, s.stale(f), serve, unknown}
}

// stale reports whether the last whole look is older than it ought to be, however new a
// part of it is: that a relay answers says nothing of DNS.
func (s *Server) stale(f Fleet) bool {
	return f.LookedAt.IsZero() || s.cfg.Now().Sub(asOf(f)) > s.cfg.StaleAfter+f.LookTook
}

// asOf is the time of the oldest part of a fleet that is looked at again and again; zero:
// not all of it was read yet.
func asOf(f Fleet) time.Time {
	if f.At.Before(f.LookedAt) {
		return f.At
	}
	return f.LookedAt
}

// shownAt is the time that is shown of a fleet: that of its newest part, or, where that is
// all that is new, of its oldest.
func (s *Server) shownAt(f Fleet) time.Time {
	if s.stale(f) {
		return asOf(f)
	}
	return f.At
}

type relaysAnswer struct {
	At     time.Time `json:"at,omitzero"`
	Relays []Relay   `json:"relays"`
}

type eventsAnswer struct {
	At     time.Time `json:"at,omitzero"`
	Events []Event   `json:"events"`
}

// MarshalJSON tells durations in seconds.
func (c Collected) MarshalJSON() ([]byte, error) {
	type plain Collected
	var took *float64
	if c.Took > 0 {
		took = new(c.Took.Seconds())
	}
	return json.Marshal(struct {
		plain
		Took  *float64 `json:"took_secs"`
		Every float64  `json:"every_secs"` // 0: none is made here
	}{plain(c), took, c.Every.Seconds()})
}

// MarshalJSON tells of a plan that is not known that it is not: empty lists would be one
// that changes nothing.
func (p Plan) MarshalJSON() ([]byte, error) {
	type plain Plan
	if !p.At.IsZero() {
		return json.Marshal(plain(p))
	}
	return json.Marshal(struct {
		Steps   []Step  `json:"steps"`
		Waiting []Step  `json:"waiting"`
		Kept    []Step  `json:"kept"`
		Refused *string `json:"refused"`
	}{})
}

// metric is the definition of a metric as JSON tells it.
type metric struct {
	Name       string `json:"name"`
	Alias      string `json:"alias"`
	Unit       string `json:"unit"`
	Title      string `json:"title"`
	Kind       string `json:"kind"`
	By         string `json:"by"`
	Definition string `json:"definition"`
	Source     string `json:"source"`
	Limits     string `json:"limits"`
}

func metricsList() any {
	var out struct {
		Metrics []metric `json:"metrics"`
	}
	out.Metrics = []metric{}
	for _, m := range stats.Metrics() {
		out.Metrics = append(out.Metrics, metric{
			Name: m.Name, Alias: m.Alias, Unit: m.Unit, Title: m.Title, Kind: string(m.Kind), By: m.By,
			Definition: m.Definition, Source: m.Source, Limits: m.Limits,
		})
	}
	return out
}

// params reads the parameters of a request, and refuses those that nothing reads.
func params(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		fail(w, http.StatusBadRequest, "the parameters cannot be read", "")
		return nil, false
	}
	for name, all := range values {
		if !slices.Contains(known, name) {
			hint := "it takes none"
			if len(known) > 0 {
				hint = "accepted are " + strings.Join(known, ", ")
			}
			fail(w, http.StatusBadRequest, fmt.Sprintf("unknown parameter %q", word(name)), hint)
			return nil, false
		}
		if len(all) > 1 {
			fail(w, http.StatusBadRequest, fmt.Sprintf("parameter %q stands there twice", name), "")
			return nil, false
		}
	}
	return values, true
}

// serveSeries answers for a metric over time.
func (s *Server) serveSeries(w http.ResponseWriter, r *http.Request) {
	values, ok := params(w, r, "metric", "since", "until", "step", "by")
	if !ok {
		return
	}
	q, m, err := s.query(values)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error(), hintOf(err))
		return
	}
	series, err := s.cfg.Source.Series(r.Context(), q)
	switch {
	case errors.Is(err, ErrNoHistory):
		fail(w, http.StatusNotFound, err.Error(), "let 'fleetctl serve' or 'fleetctl stats collect' collect")
	case errors.Is(err, ErrQuery):
		fail(w, http.StatusBadRequest, err.Error(), hintOf(err))
	case err != nil:
		s.cfg.Log.WarnContext(r.Context(), "history was not read", "metric", q.Metric, "err", err)
		fail(w, http.StatusInternalServerError, "the history could not be read: "+err.Error(), hintOf(err))
	default:
		send(w, http.StatusOK, seriesAnswer{
			Metric: m.Name, Title: m.Title, Unit: m.Unit, Kind: string(m.Kind), Since: q.Since, Until: q.Until,
			Series: timed(series),
		})
	}
}

type seriesAnswer struct {
	Metric string        `json:"metric"`
	Title  string        `json:"title"`
	Unit   string        `json:"unit"`
	Kind   string        `json:"kind"`
	Since  time.Time     `json:"since"`
	Until  time.Time     `json:"until"`
	Series []timedSeries `json:"series"`
}

// timedSeries is a series with its step.
type timedSeries struct {
	stats.Series
	Step float64 `json:"step_secs"`
}

func timed(series []stats.Series) []timedSeries {
	out := make([]timedSeries, 0, len(series))
	for _, one := range series {
		out = append(out, timedSeries{cleanSeries(one), one.Step.Seconds()})
	}
	return out
}

// defaultSpan is how far back a series goes if nobody says so.
const defaultSpan = 30 * 24 * time.Hour

// query reads the parameters of a series.
func (s *Server) query(values url.Values) (Query, stats.Metric, error) {
	name := values.Get("metric")
	m, ok := stats.MetricOf(name)
	if !ok {
		return Query{}, m, hinted{fmt.Errorf("%w: unknown metric %q", ErrQuery, word(name)), "see /api/v1/metrics-list"}
	}
	now := s.cfg.Now().UTC().Truncate(time.Second)
	q := Query{Metric: m.Name, Until: now, Step: values.Get("step")}
	var err error
	if text := values.Get("until"); text != "" {
		if q.Until, err = moment(text, now); err != nil {
			return q, m, fmt.Errorf("%w: until: %w", ErrQuery, err)
		}
	}
	q.Since = q.Until.Add(-defaultSpan)
	if text := values.Get("since"); text != "" {
		if q.Since, err = moment(text, now); err != nil {
			return q, m, fmt.Errorf("%w: since: %w", ErrQuery, err)
		}
	}
	if !q.Since.Before(q.Until) {
		return q, m, fmt.Errorf("%w: since is not before until", ErrQuery)
	}
	if text := values.Get("by"); text != "" {
		if q.By, err = strconv.ParseBool(text); err != nil {
			return q, m, fmt.Errorf("%w: by is true or false", ErrQuery)
		}
	}
	return q, m, nil
}

// moment reads a time: RFC 3339, or how long before now as "90m", "24h", "30d" or "4w".
func moment(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	if n, err := strconv.Atoi(strings.TrimRight(text, "dw")); err == nil && n > 0 && n < 1e5 {
		switch strings.TrimLeft(text, "0123456789") {
		case "d":
			return now.AddDate(0, 0, -n), nil
		case "w":
			return now.AddDate(0, 0, -7*n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time (RFC 3339) nor a span (24h, 30d, 4w)", word(text))
}

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint is one sentence.
func (h hinted) Hint() string { return h.hint }

// hintOf is the hint within err, "" if there is none.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
