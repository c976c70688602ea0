package relay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// series are our own numbers in /metrics, beside those of Go, the process and libp2p.
type series struct {
	relay *Relay
	descs map[string]*prometheus.Desc
}

var _ prometheus.Collector = (*series)(nil)

func (r *Relay) registerSeries() {
	help := map[string]string{
		"relay_users":                        "Peers connected now, without the fleet's relays and probes.",
		"relay_fleet_peers":                  "Other relays of the fleet that are connected now.",
		"relay_users_peak":                   "Most users connected at once, ever.",
		"relay_users_joined_total":           "Users that connected, since the process started.",
		"relay_users_left_total":             "Users that disconnected, since the process started.",
		"relay_users_lifetime":               "Distinct users, over the life of the state directory.",
		"relay_reservations":                 "Reservations held now.",
		"relay_reservations_accepted_total":  "Reservations granted to users, renewals not counted, since the process started.",
		"relay_circuits":                     "Circuits of users open now.",
		"relay_own_circuits":                 "Circuits open now that fleetctl's probes or the fleet's relays opened.",
		"relay_circuits_established_total":   "Circuits opened by users, since the process started.",
		"relay_kademlia_routing_table_peers": "Peers in the routing table.",
		"relay_ready":                        "1 while the relay can serve a newcomer.",
		"relay_draining":                     "1 while no reservation is granted.",
		"relay_listeners_down":               "Configured listeners that are not up.",
		"relay_warnings":                     "Warnings in /readyz.",
		"relay_start_time_seconds":           "When this process started, in UNIX seconds.",
		"relay_census_written_time_seconds":  "When the census was last written, in UNIX seconds; 0 before the first time.",
		"relay_build_info":                   "The version that runs.",
		"relay_reservations_limit":           "Reservations that may be held at once.",
		"relay_reservations_renewed_total":   "Renewals of reservations, since the process started.",
		"relay_reservations_refused_total":   "Reservations refused to users, by the status sent, since the process started.",
		"relay_circuits_refused_total":       "Circuits refused to users, by the status sent, since the process started.",
		"relay_bytes_relayed_total":          "Bytes passed on over circuits of users, both directions, since the process started.",
		"relay_own_bytes_relayed_total":      "Bytes passed on over circuits that fleetctl's probes or the fleet's relays opened, since the process started.",
		"relay_sessions_ended_total":         "Sessions of users that ended, since the process started.",
		"relay_census_damaged":               "1 while a damaged census is kept beside the one in use, or could not be set aside.",
		"relay_disk_free_bytes":              "Free on the file system of the state directory; missing where that is unknown.",
		"relay_disk_total_bytes":             "Size of the file system of the state directory.",
		"relay_memory_bytes":                 "Memory of the process; missing where that is unknown.",
		"relay_memory_limit_bytes":           "Memory that the process may have: the limit of its control group, or all of the machine.",
	}
	s := &series{relay: r, descs: make(map[string]*prometheus.Desc)}
	for name, text := range help {
		var labels []string
		switch name {
		case "relay_build_info":
			labels = []string{"version", "revision"}
		case "relay_reservations_refused_total", "relay_circuits_refused_total":
			labels = []string{"status"}
		}
		s.descs[name] = prometheus.NewDesc(name, text, labels, nil)
	}
	r.registry.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Describe lists the series.
func (s *series) Describe(out chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		out <- d
	}
}

// Collect reads the ledger once.
func (s *series) Collect(out chan<- prometheus.Metric) {
	f, ready := s.relay.ledger.figures(), s.relay.readiness()
	held, _ := s.relay.ledger.reservations(time.Now(), 0)
	down := 0
	for _, l := range ready.Listeners {
		if !l.Up {
			down++
		}
	}
	gauge := func(name string, v float64) {
		out <- prometheus.MustNewConstMetric(s.descs[name], prometheus.GaugeValue, v)
	}
	gauge("relay_users", float64(f.users))
	gauge("relay_fleet_peers", float64(f.fleet))
	gauge("relay_users_peak", float64(f.counters.Peak))
	gauge("relay_users_lifetime", float64(f.lifetime))
	gauge("relay_reservations", float64(held))
	gauge("relay_circuits", float64(f.circuits))
	gauge("relay_own_circuits", float64(f.ownCircuits))
	gauge("relay_kademlia_routing_table_peers", float64(s.relay.routingTableSize()))
	gauge("relay_ready", truth(ready.Ready))
	gauge("relay_draining", truth(ready.Draining))
	gauge("relay_listeners_down", float64(down))
	gauge("relay_warnings", float64(len(ready.Warnings)))
	gauge("relay_start_time_seconds", float64(s.relay.started.Unix()))
	gauge("relay_census_written_time_seconds", float64(s.relay.archive.written.Load()))
	out <- prometheus.MustNewConstMetric(s.descs["relay_build_info"], prometheus.GaugeValue, 1,
		s.relay.self.version, s.relay.self.revision)
	s.uses(out)
	s.resources(out)
}

// uses are the counters: what collectors are told, since the process started. None falls
// while it runs, and all begin again with it; see [ledger.sinceStart].
func (s *series) uses(out chan<- prometheus.Metric) {
	c := s.relay.ledger.sinceStart()
	for name, v := range map[string]uint64{
		"relay_users_joined_total":          c.Joined,
		"relay_users_left_total":            c.Left,
		"relay_reservations_accepted_total": c.Granted,
		"relay_reservations_renewed_total":  c.Renewed,
		"relay_circuits_established_total":  c.Circuits,
		"relay_bytes_relayed_total":         c.BytesRelayed,
		"relay_own_bytes_relayed_total":     *c.OwnBytes,
		"relay_sessions_ended_total":        c.Sessions,
	} {
		out <- prometheus.MustNewConstMetric(s.descs[name], prometheus.CounterValue, float64(v))
	}
	for name, refused := range map[string]map[string]uint64{
		"relay_reservations_refused_total": c.RefusedReserve,
		"relay_circuits_refused_total":     c.RefusedCircuit,
	} {
		for _, status := range refusals(name) {
			if _, known := refused[status]; !known {
				refused[status] = 0
			}
		}
		for status, v := range refused {
			out <- prometheus.MustNewConstMetric(s.descs[name], prometheus.CounterValue, float64(v), status)
		}
	}
}

// refusals are the statuses that a series begins with, at 0: an alert on the growth of one
// that appears with its first refusal would miss that one.
func refusals(name string) []string {
	if name == "relay_reservations_refused_total" {
		return []string{"RESERVATION_REFUSED", "RESOURCE_LIMIT_EXCEEDED", "PERMISSION_DENIED"}
	}
	return []string{"NO_RESERVATION", "CONNECTION_FAILED", "RESOURCE_LIMIT_EXCEEDED", "PERMISSION_DENIED", "MALFORMED_MESSAGE"}
}

// resources are how near the relay is to what it may have. What is unknown is missing.
func (s *series) resources(out chan<- prometheus.Metric) {
	free, total := diskSpace(s.relay.cfg.State)
	known := map[string]float64{
		"relay_reservations_limit": float64(s.relay.cfg.Limits.Reservations),
		"relay_census_damaged":     truth(s.relay.archive.damaged(censusFile)),
		"relay_memory_bytes":       float64(memoryUsed()),
		"relay_memory_limit_bytes": float64(memoryLimit()),
		"relay_disk_free_bytes":    float64(free),
		"relay_disk_total_bytes":   float64(total),
	}
	for name, v := range known {
		unknown := strings.HasPrefix(name, "relay_disk_") && total == 0 || strings.HasPrefix(name, "relay_memory_") && v == 0
		if !unknown {
			out <- prometheus.MustNewConstMetric(s.descs[name], prometheus.GaugeValue, v)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// gather gives the few series of libp2p whose names Prometheus' linter refuses a name
// that it accepts.
func (r *Relay) gather() ([]*dto.MetricFamily, error) {
	families, err := r.registry.Gather()
	taken := make(map[string]bool, len(families))
	for _, f := range families {
		taken[f.GetName()] = true
	}
	for _, f := range families {
		if name := cleanName(f.GetName(), f.GetType()); !taken[name] {
			taken[name] = true
			f.Name = &name
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, err
}

// cleanName ends counters, and only them, in _total, and leaves _count to histograms.
func cleanName(name string, kind dto.MetricType) string {
	switch kind {
	case dto.MetricType_COUNTER:
		if !strings.HasSuffix(name, "_total") {
			return name + "_total"
		}
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
		return strings.TrimSuffix(strings.TrimSuffix(name, "_total"), "_count")
	case dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY, dto.MetricType_GAUGE_HISTOGRAM:
		return strings.TrimSuffix(name, "_total")
	}
	return name
}
