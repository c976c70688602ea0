package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relayfleet/fleetctl/pkg/monitoring"
	"github.com/relayfleet/fleetctl/stats"
)

// serveMetrics answers with the fleet's own series.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) { s.metrics.ServeHTTP(w, r) }

// prometheus is the handler of /metrics. It has the series of the fleet and none of this
// process, which Prometheus would take for the fleet's.
func (s *Server) prometheus() http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(s))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// collector makes the series of [monitoring.Series] of the newest look.
type collector struct {
	server *Server
	known  map[string]series
}

// series is one name.
type series struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newCollector(s *Server) *collector {
	c := &collector{server: s, known: make(map[string]series)}
	for _, m := range monitoring.Series() {
		kind := prometheus.GaugeValue
		if m.Type == monitoring.Counter {
			kind = prometheus.CounterValue
		}
		c.known[m.Name] = series{prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), kind}
	}
	return c
}

// Describe names every series.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, one := range c.known {
		out <- one.desc
	}
}

// Collect sends what is known; what is not is left out.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	f := c.server.now().fleet
	if c.server.stale(f) {
		f = forgotten(f)
	}
	send := func(name string, value float64, labels ...string) {
		one := c.known[name]
		if m, err := prometheus.NewConstMetric(one.desc, one.kind, value, labels...); err == nil {
			out <- m
		}
	}
	c.fleet(f, send)
	for id, r := range byNode(f.Relays) {
		c.relay(id, r, send)
	}
	c.peers(f, send)
	if shown := c.server.cfg.Certificate; shown != nil {
		send("fleet_certificate_expiry_time_seconds", seconds(shown().NotAfter), "serve")
	}
}

// forgotten is a fleet without what the last whole look found: that was too long ago to be
// so now. What is read apart from it stays.
func forgotten(f Fleet) Fleet {
	f.Published, f.Verified, f.Zone = nil, nil, Zone{ReadAt: f.Zone.ReadAt}
	f.Relays = slices.Clone(f.Relays)
	for i := range f.Relays {
		r := &f.Relays[i]
		r.State, r.Version, r.Published, r.Verified = "unknown", "", nil, nil
	}
	return f
}

// byNode is one relay for each node, by node and region: of the two machines of a node that
// is being replaced the one that serves less.
func byNode(relays []Relay) map[[2]string]Relay {
	out := make(map[[2]string]Relay, len(relays))
	for _, r := range relays {
		id := [2]string{r.Node, r.Region}
		if other, twice := out[id]; !twice || toneOf(r.State).severity() < toneOf(other.State).severity() {
			out[id] = r
		}
	}
	return out
}

type sender func(name string, value float64, labels ...string)

// known sends a value that is known.
func known[T int | uint64](send sender, name string, value *T, labels ...string) {
	if value != nil {
		send(name, float64(*value), labels...)
	}
}

func (c *collector) fleet(f Fleet, send sender) {
	send("fleet_relays_planned", float64(f.Wanted))
	send("fleet_relays_floor", float64(f.Floor))
	send("fleet_build_info", 1, f.Version)
	known(send, "fleet_relays_answering", f.Collected.Answered)
	known(send, "fleet_relays_published", f.Published)
	known(send, "fleet_relays_verified", f.Verified)
	known(send, "fleet_dns_differences", f.Zone.Differences)
	when(send, "fleet_dns_read_time_seconds", f.Zone.ReadAt)
	when(send, "fleet_collected_time_seconds", f.Collected.At)
	if f.Collected.Took > 0 {
		send("fleet_collection_duration_seconds", f.Collected.Took.Seconds())
	}
	if f.Collected.Every > 0 {
		send("fleet_collection_interval_seconds", f.Collected.Every.Seconds())
	}
	for _, cost := range f.Cost {
		send("fleet_monthly_cost", cost.Monthly, cost.Currency)
	}
}

func (c *collector) relay(node [2]string, r Relay, send sender) {
	id := node[:]
	truth := func(name string, v *bool) {
		switch {
		case v == nil:
		case *v:
			send(name, 1, id...)
		default:
			send(name, 0, id...)
		}
	}
	truth("fleet_relay_answering", r.Answering)
	truth("fleet_relay_published", r.Published)
	truth("fleet_relay_serving", r.Verified)
	truth("fleet_relay_census_damaged", r.CensusDamaged)
	send("fleet_relay_info", 1, r.Node, r.Region, r.State, r.Version)
	known(send, "fleet_collection_failures_total", r.Failures, id...)
}

// peers sends the numbers of peers that the last collection made.
func (c *collector) peers(f Fleet, send sender) {
	lifetime, have := f.Figures["lifetime_unique_peers"]
	figure(send, "fleet_lifetime_unique_peers", lifetime)
	for _, window := range []string{"24h", "7d", "30d"} {
		figure(send, "fleet_active_peers", f.Figures["active_peers_"+window], window)
	}
	figure(send, "fleet_concurrent_peers", f.Figures["concurrent_peers"])
	if have {
		send("fleet_peers_missing_relays", float64(len(lifetime.Missing)))
		send("fleet_peers_error_ratio", lifetime.Error)
	}
}

func figure(send sender, name string, f stats.Figure, labels ...string) {
	if f.Value != nil {
		send(name, *f.Value, labels...)
	}
}

func when(send sender, name string, t time.Time) {
	if !t.IsZero() {
		send(name, seconds(t))
	}
}

// seconds is a time as Prometheus counts it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
