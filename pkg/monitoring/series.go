package monitoring

// What 'fleetctl serve' answers a Prometheus under.
const (
	PathMetrics   = "/metrics"                   // the fleet's own series, [Series]
	PathDiscovery = "/api/v1/prometheus/targets" // HTTP service discovery: a target for each relay
	PathScrape    = "/scrape/"                   // + NODE: /metrics of that relay, through its SSH tunnel
)

// Labels that every target of the discovery carries, beside __metrics_path__. Rules and
// dashboard go by them, so static targets carry them too.
const (
	LabelFleet  = "fleet"
	LabelNode   = "node"
	LabelRegion = "region"
)

// Type is a type of the exposition format.
type Type string

// The types in use.
const (
	Gauge   Type = "gauge"
	Counter Type = "counter"
)

// Metric is one name of /metrics.
type Metric struct {
	Name   string
	Type   Type
	Labels []string // beside those of the scrape; nil is none
	Help   string
}

// Series are the names that 'fleetctl serve' counts a fleet under. One whose value is not
// known is left out of an answer; it is never 0 instead. Times are UNIX seconds. They say
// nothing of the fleet's name: the scrape configuration adds it.
func Series() []Metric {
	relay := []string{LabelNode, LabelRegion}
	return []Metric{
		{"fleet_relays_planned", Gauge, nil, "Relays that fleet.yaml asks for."},
		{"fleet_relays_answering", Gauge, nil, "Relays whose telemetry was read in the last collection."},
		{"fleet_relays_published", Gauge, nil, "Relays of the fleet that have a record in DNS."},
		{"fleet_relays_verified", Gauge, nil, "Published relays that a probe found serving, no longer ago than rollout.probe_max_age."},
		{"fleet_relays_floor", Gauge, nil, "dns.min_relays: fewer verified relays than this are too few."},

		{"fleet_relay_answering", Gauge, relay, "1 if the relay's telemetry was read in the last collection, else 0."},
		{"fleet_relay_published", Gauge, relay, "1 if the relay has a record in DNS, else 0."},
		{"fleet_relay_serving", Gauge, relay, "1 if the last probe found the relay serving or full, 0 if it found it not to; left out for one that could not be probed from here."},
		{"fleet_relay_census_damaged", Gauge, relay, "1 if the census of the relay is damaged: it says so, or what was read is no census; 0 if not, also where it was not read to its end."},
		{"fleet_relay_info", Gauge, []string{LabelNode, LabelRegion, "state", "version"}, "1; the relay's state in words of 'fleetctl status', and the version that runs."},

		{"fleet_lifetime_unique_peers", Gauge, nil, "Distinct peers that ever connected, without the fleet's relays and probes."},
		{"fleet_active_peers", Gauge, []string{"window"}, "Distinct peers seen in the window: 24h, 7d, 30d."},
		{"fleet_concurrent_peers", Gauge, nil, "Peers connected in the last minute that most relays told of, no more than 2 minutes before the last collection; summed over those relays."},
		{"fleet_peers_missing_relays", Gauge, nil, "Relays that did not answer: with more than 0, the numbers of peers are at least so large."},
		{"fleet_peers_error_ratio", Gauge, nil, "Relative standard error of the distinct counts; 0 is exact."},

		{"fleet_dns_differences", Gauge, nil, "Records that 'fleetctl dnsaddr sync' would add or remove now."},
		{"fleet_dns_read_time_seconds", Gauge, nil, "When the records were last read."},
		{"fleet_monthly_cost", Gauge, []string{"currency"}, "What the fleet's machines cost in a month; left out where they cost nothing, or the price of one is not known."},

		{"fleet_collected_time_seconds", Gauge, nil, "When the last collection ended that at least one relay answered in."},
		{"fleet_collection_duration_seconds", Gauge, nil, "How long the last collection took."},
		{"fleet_collection_interval_seconds", Gauge, nil, "How long after one collection of its own serve makes the next; another program may collect instead."},
		{"fleet_collection_failures_total", Counter, []string{LabelNode, LabelRegion}, "Collections of serve's own in which the relay did not answer; left out where another program collects, or none does."},
		{"fleet_certificate_expiry_time_seconds", Gauge, []string{"certificate"}, "When a certificate ends: that of 'serve' itself; left out without TLS."},
		{"fleet_build_info", Gauge, []string{"version"}, "1; the version of fleetctl that serves this."},
	}
}
