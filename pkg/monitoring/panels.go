package monitoring

// chart is what a panel of the dashboard shows.
type chart struct {
	title, help   string
	kind          string // "stat" or "timeseries"
	width, height int    // of 24 columns, and in rows
	unit          string // Grafana's name of it
	max           float64
	steps         []threshold
	queries       []shown
}

// shown is one query, $fleet being the fleet, and what its series are called.
type shown struct{ expr, legend string }

const (
	numbers = "stat"
	lines   = "timeseries"
)

// charts are the panels in the order of reading: is it well, who uses it, how full is it,
// what fails.
func charts() []chart {
	return []chart{
		{
			title: "Relays to spare", help: "Verified relays above dns.min_relays. Below 0, newcomers find too few.",
			kind: numbers, width: 4, height: 4, unit: "none",
			steps:   []threshold{from("red"), at("orange", 0), at("green", 1)},
			queries: []shown{{`fleet:relays_verified:margin{fleet="$fleet"}`, "to spare"}},
		},
		{
			title: "Relays read", help: "Relays whose own numbers Prometheus reads.",
			kind: numbers, width: 4, height: 4, unit: "none",
			queries: []shown{
				{`sum by (fleet) (up{job="relay",fleet="$fleet"})`, "read"},
				{`count by (fleet) (up{job="relay",fleet="$fleet"})`, "of"},
			},
		},
		{
			title: "Lifetime unique peers", help: "Each peer once, over all relays and all time; at least so many if a relay did not answer.",
			kind: numbers, width: 4, height: 4, unit: "short",
			queries: []shown{{`fleet:peers:unique{fleet="$fleet"}`, "peers"}},
		},
		{
			title: "Missing in the numbers of peers", help: "Relays that did not answer. Above 0, numbers of peers are at least what is shown.",
			kind: numbers, width: 4, height: 4, unit: "none",
			steps:   []threshold{from("green"), at("orange", 1)},
			queries: []shown{{`max by (fleet) (fleet_peers_missing_relays{fleet="$fleet"})`, "relays"}},
		},
		{
			title: "DNS differences", help: "Records that 'fleetctl dnsaddr sync' would add or remove.",
			kind: numbers, width: 4, height: 4, unit: "none",
			steps:   []threshold{from("green"), at("orange", 1)},
			queries: []shown{{`max by (fleet) (fleet_dns_differences{fleet="$fleet"})`, "records"}},
		},
		{
			title: "Collected", help: "How long ago the last collection ended that a relay answered in.",
			kind: numbers, width: 4, height: 4, unit: "s",
			queries: []shown{{`time() - max by (fleet) (fleet_collected_time_seconds{fleet="$fleet"})`, "ago"}},
		},
		{
			title: "Relays", help: "Published, found serving, and the floor below which neither must fall.",
			kind: lines, width: 12, height: 8, unit: "none",
			queries: []shown{
				{`max by (fleet) (fleet_relays_planned{fleet="$fleet"})`, "planned"},
				{`max by (fleet) (fleet_relays_published{fleet="$fleet"})`, "published"},
				{`max by (fleet) (fleet_relays_verified{fleet="$fleet"})`, "verified"},
				{`max by (fleet) (fleet_relays_floor{fleet="$fleet"})`, "floor"},
			},
		},
		{
			title: "Active peers", help: "Distinct peers that were seen in the window.",
			kind: lines, width: 12, height: 8, unit: "short",
			queries: []shown{{`fleet:peers:active{fleet="$fleet"}`, "{{window}}"}},
		},
		{
			title: "Users connected", help: "By relay. A user of two relays is counted by both.",
			kind: lines, width: 12, height: 8, unit: "short",
			queries: []shown{{`max by (node) (relay_users{fleet="$fleet"})`, "{{node}}"}},
		},
		{
			title: "Bytes relayed", help: "A second, over circuits of users, both directions.",
			kind: lines, width: 12, height: 8, unit: "Bps",
			queries: []shown{{`sum by (node) (rate(relay_bytes_relayed_total{fleet="$fleet"}[5m]))`, "{{node}}"}},
		},
		{
			title: "Reservations taken", help: "Share of what a relay may give.",
			kind: lines, width: 12, height: 8, unit: "percentunit", max: 1,
			steps: []threshold{from("green"), at("orange", 0.8), at("red", 0.9)},
			queries: []shown{
				{`node:relay_reservations:saturation{fleet="$fleet"}`, "{{node}}"},
				{`fleet:relay_reservations:saturation{fleet="$fleet"}`, "fleet"},
			},
		},
		{
			title: "Requests refused", help: "Share of requests for reservations and circuits in 10 minutes, for any reason.",
			kind: lines, width: 12, height: 8, unit: "percentunit", max: 1,
			queries: []shown{
				{`node:relay_refused:ratio10m{fleet="$fleet"}`, "{{node}}"},
				{`fleet:relay_refused:ratio10m{fleet="$fleet"}`, "fleet"},
			},
		},
		{
			title: "Refusals by reason", help: "A minute, over the fleet.",
			kind: lines, width: 12, height: 8, unit: "short",
			queries: []shown{
				{`60 * sum by (status) (rate(relay_reservations_refused_total{fleet="$fleet"}[5m]))`, "reservation: {{status}}"},
				{`60 * sum by (status) (rate(relay_circuits_refused_total{fleet="$fleet"}[5m]))`, "circuit: {{status}}"},
			},
		},
		{
			title: "Circuits open", help: "By relay.",
			kind: lines, width: 12, height: 8, unit: "short",
			queries: []shown{{`max by (node) (relay_circuits{fleet="$fleet"})`, "{{node}}"}},
		},
		{
			title: "Memory", help: "Share of what the relay may use.",
			kind: lines, width: 12, height: 8, unit: "percentunit", max: 1,
			steps:   []threshold{from("green"), at("red", 0.9)},
			queries: []shown{{`max by (node) (relay_memory_bytes{fleet="$fleet"} / (relay_memory_limit_bytes > 0))`, "{{node}}"}},
		},
		{
			title: "Disk free", help: "Share of the file system that the census is on.",
			kind: lines, width: 12, height: 8, unit: "percentunit", max: 1,
			steps:   []threshold{from("red"), at("green", 0.1)},
			queries: []shown{{`max by (node) (relay_disk_free_bytes{fleet="$fleet"} / (relay_disk_total_bytes > 0))`, "{{node}}"}},
		},
	}
}

func from(colour string) threshold { return threshold{Color: colour} }

func at(colour string, value float64) threshold { return threshold{Color: colour, Value: &value} }

func (c chart) panel(id, x, y int) panel {
	p := panel{
		ID: id, Type: c.kind, Title: c.title, Description: c.help, GridPos: gridPos{x, y, c.width, c.height}, Datasource: prometheus,
		FieldConfig: fieldConfig{
			Defaults:  fieldDefaults{Unit: c.unit, NoValue: "unknown", Color: colour{"palette-classic"}},
			Overrides: []struct{}{},
		},
	}
	if c.max > 0 {
		zero := 0.0
		p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = &zero, &c.max
	}
	if len(c.steps) > 0 {
		p.FieldConfig.Defaults.Thresholds = &thresholds{Mode: "absolute", Steps: c.steps}
	}
	for i, q := range c.queries {
		p.Targets = append(p.Targets, query{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend,
			Instant: c.kind == numbers, Range: c.kind != numbers, Format: "time_series",
		})
	}
	switch c.kind {
	case numbers:
		if len(c.steps) > 0 {
			p.FieldConfig.Defaults.Color.Mode = "thresholds"
		}
		p.Options = statOptions{ColorMode: "value", GraphMode: "none", ReduceOptions: reduceOptions{Calcs: []string{"lastNotNull"}}}
	default:
		p.Options = seriesOptions{
			Legend:  legendOptions{DisplayMode: "list", Placement: "bottom", ShowLegend: true},
			Tooltip: tooltipOptions{Mode: "multi", Sort: "desc"},
		}
	}
	return p
}
