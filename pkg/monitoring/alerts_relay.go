package monitoring

// relayAlerts are decided by what each relay counts, read through serve or directly.
func relayAlerts() []Alert {
	const at = `fleet="f",node="nyc1-1",region="nyc1"`
	return []Alert{
		{
			Name: "FleetCollectorStale", Severity: Warning, For: "15m",
			Expr: `(max by (fleet, node, region) (up{job="relay"}) == 0)
or
(max by (fleet, node, region) (fleet_relay_published) == 1 unless max by (fleet, node, region) (fleet_relay_serving))`,
			Summary:     `{{ $labels.node }} is not watched`,
			Description: `For 15 minutes Prometheus read nothing of {{ $labels.node }} of fleet {{ $labels.fleet }}, or DNS sends clients there and no probe could tell whether it serves them.`,
			Cases: []Case{{
				Name:  "a relay does not answer, and answers again",
				Input: []Input{{`up{job="relay",instance="nyc1-1",` + at + `}`, "1x4 0x20 1x15"}},
				Fires: "22m", Quiet: []string{"4m", "18m", "26m"}, Relay: true,
				Summary:     "nyc1-1 is not watched",
				Description: "For 15 minutes Prometheus read nothing of nyc1-1 of fleet f, or DNS sends clients there and no probe could tell whether it serves them.",
			}, {
				Name: "one that was found not to serve cannot be probed any more, and then it can",
				Input: []Input{
					{`up{job="relay",instance="nyc1-1",` + at + `}`, "1x60"},
					{`fleet_relay_published{` + at + `}`, "1x60"},
					{`fleet_relay_serving{` + at + `}`, "1x4 0x5 stale _x28 1x20"},
					{`fleet_relay_published{fleet="f",node="fra1-1",region="fra1"}`, "0x60"},
				},
				Fires: "28m", Quiet: []string{"8m", "20m", "42m"}, Relay: true,
				Summary:     "nyc1-1 is not watched",
				Description: "For 15 minutes Prometheus read nothing of nyc1-1 of fleet f, or DNS sends clients there and no probe could tell whether it serves them.",
			}},
		},
		{
			Name: "RelayCensusDamaged", Severity: Critical, For: "5m",
			Expr:        `max by (fleet, node, region) ({__name__=~"relay_census_damaged|fleet_relay_census_damaged"}) > 0`,
			Summary:     `{{ $labels.node }}: the census is damaged`,
			Description: `{{ $labels.node }} of fleet {{ $labels.fleet }} cannot read a file that it counts in. Numbers of the fleet are at least what is shown.`,
			Cases: []Case{{
				Name:  "the relay says so, until the file is put right",
				Input: []Input{{`relay_census_damaged{job="relay",instance="nyc1-1",` + at + `}`, "0x4 1x10 0x15"}},
				Fires: "12m", Quiet: []string{"4m", "8m", "16m"}, Relay: true,
				Summary:     "nyc1-1: the census is damaged",
				Description: "nyc1-1 of fleet f cannot read a file that it counts in. Numbers of the fleet are at least what is shown.",
			}, {
				Name:  "an old relay does not say so, and what was collected does",
				Input: []Input{{`fleet_relay_census_damaged{job="fleetctl",instance="s",` + at + `}`, "0x4 1x10 0x15"}},
				Fires: "12m", Quiet: []string{"4m", "8m", "16m"}, Relay: true,
				Summary:     "nyc1-1: the census is damaged",
				Description: "nyc1-1 of fleet f cannot read a file that it counts in. Numbers of the fleet are at least what is shown.",
			}},
		},
		{
			Name: "RelayReservationsNearLimit", Severity: Warning, For: "15m",
			Expr:        `node:relay_reservations:saturation > 0.9`,
			Summary:     `{{ $labels.node }}: nearly every reservation is taken`,
			Description: `{{ $value | humanizePercentage }} of the reservations of {{ $labels.node }} of fleet {{ $labels.fleet }} are held. At 100 % newcomers are refused.`,
			Cases: []Case{{
				Name: "it fills up, and empties",
				Input: []Input{
					{`relay_reservations{job="relay",` + at + `}`, "100x4 950x24 100x15"},
					{`relay_reservations_limit{job="relay",` + at + `}`, "1000x50"},
				},
				Fires: "24m", Quiet: []string{"4m", "18m", "31m"}, Relay: true,
				Summary:     "nyc1-1: nearly every reservation is taken",
				Description: "95% of the reservations of nyc1-1 of fleet f are held. At 100 % newcomers are refused.",
			}, {
				Name:  "a relay that does not say its limit has none that is known",
				Input: []Input{{`relay_reservations{job="relay",` + at + `}`, "950x50"}, {`relay_reservations_limit{job="relay",` + at + `}`, "0x50"}},
				Quiet: []string{"30m"},
			}},
		},
		{
			Name: "RelayDiskLow", Severity: Critical, For: "10m",
			Expr:        `max by (fleet, node, region) (relay_disk_free_bytes / (relay_disk_total_bytes > 0)) < 0.1`,
			Summary:     `{{ $labels.node }}: the disk is nearly full`,
			Description: `{{ $value | humanizePercentage }} of the disk that {{ $labels.node }} of fleet {{ $labels.fleet }} counts on is free. Without room the census is not written.`,
			Cases: []Case{{
				Name: "it fills up, and room is made",
				Input: []Input{
					{`relay_disk_free_bytes{job="relay",` + at + `}`, "9e9x4 5e8x20 9e9x15"},
					{`relay_disk_total_bytes{job="relay",` + at + `}`, "1e10x50"},
				},
				Fires: "18m", Quiet: []string{"4m", "12m", "26m"}, Relay: true,
				Summary:     "nyc1-1: the disk is nearly full",
				Description: "5% of the disk that nyc1-1 of fleet f counts on is free. Without room the census is not written.",
			}, {
				Name:  "0 of 0 is unknown",
				Input: []Input{{`relay_disk_free_bytes{job="relay",` + at + `}`, "0x50"}, {`relay_disk_total_bytes{job="relay",` + at + `}`, "0x50"}},
				Quiet: []string{"30m"},
			}},
		},
		{
			Name: "RelayMemoryHigh", Severity: Warning, For: "10m",
			Expr:        `max by (fleet, node, region) (relay_memory_bytes / (relay_memory_limit_bytes > 0)) > 0.9`,
			Summary:     `{{ $labels.node }}: the relay has nearly all the memory that it may have`,
			Description: `{{ $value | humanizePercentage }} of the memory that the relay {{ $labels.node }} of fleet {{ $labels.fleet }} may have is in use. At 100 % the kernel ends it.`,
			Cases: []Case{{
				Name: "it grows, and shrinks",
				Input: []Input{
					{`relay_memory_bytes{job="relay",` + at + `}`, "1e8x4 9.5e8x20 1e8x15"},
					{`relay_memory_limit_bytes{job="relay",` + at + `}`, "1e9x50"},
				},
				Fires: "18m", Quiet: []string{"4m", "13m", "26m"}, Relay: true,
				Summary:     "nyc1-1: the relay has nearly all the memory that it may have",
				Description: "95% of the memory that the relay nyc1-1 of fleet f may have is in use. At 100 % the kernel ends it.",
			}},
		},
		{
			Name: "RelayErrorRate", Severity: Warning, For: "10m",
			Expr: `(node:relay_errors:ratio10m > 0.05)
and
(node:relay_requests:increase10m >= 20)
unless
(max by (fleet, node, region) (relay_draining) == 1)`,
			Summary:     `{{ $labels.node }} turns requests away`,
			Description: `{{ $labels.node }} of fleet {{ $labels.fleet }} answered {{ $value | humanizePercentage }} of the requests for reservations and circuits in the last 10 minutes with an error of its own.`,
			Cases: []Case{{
				Name: "one in ten circuits fails, and then none",
				Input: []Input{
					{`relay_reservations_accepted_total{job="relay",` + at + `}`, "0x80"},
					{`relay_circuits_established_total{job="relay",` + at + `}`, "0+9x80"},
					{`relay_reservations_refused_total{job="relay",status="RESERVATION_REFUSED",` + at + `}`, "0x80"},
					{`relay_circuits_refused_total{job="relay",status="CONNECTION_FAILED",` + at + `}`, "0x4 1+1x35 36x40"},
					{`relay_draining{job="relay",` + at + `}`, "0x80"},
				},
				Fires: "35m", Quiet: []string{"4m", "12m", "60m"}, Relay: true,
				Summary:     "nyc1-1 turns requests away",
				Description: "nyc1-1 of fleet f answered 10% of the requests for reservations and circuits in the last 10 minutes with an error of its own.",
			}, {
				Name: "what clients do wrong is no error of the relay",
				Input: []Input{
					{`relay_circuits_established_total{job="relay",` + at + `}`, "0+9x80"},
					{`relay_reservations_accepted_total{job="relay",` + at + `}`, "0x80"},
					{`relay_reservations_refused_total{job="relay",status="RESERVATION_REFUSED",` + at + `}`, "0x80"},
					{`relay_circuits_refused_total{job="relay",status="NO_RESERVATION",` + at + `}`, "0+9x80"},
				},
				Quiet: []string{"35m"},
			}, {
				Name: "a relay that drains refuses because it was told to",
				Input: []Input{
					{`relay_circuits_established_total{job="relay",` + at + `}`, "0+9x80"},
					{`relay_reservations_accepted_total{job="relay",` + at + `}`, "0x80"},
					{`relay_reservations_refused_total{job="relay",status="RESERVATION_REFUSED",` + at + `}`, "0+9x80"},
					{`relay_circuits_refused_total{job="relay",status="NO_RESERVATION",` + at + `}`, "0x80"},
					{`relay_draining{job="relay",` + at + `}`, "1x80"},
				},
				Quiet: []string{"35m"},
			}, {
				Name: "three of four in a quiet night are too few to judge by",
				Input: []Input{
					{`relay_circuits_established_total{job="relay",` + at + `}`, "0x9 1x70"},
					{`relay_reservations_accepted_total{job="relay",` + at + `}`, "0x80"},
					{`relay_reservations_refused_total{job="relay",status="RESERVATION_REFUSED",` + at + `}`, "0x80"},
					{`relay_circuits_refused_total{job="relay",status="CONNECTION_FAILED",` + at + `}`, "0x9 3x70"},
				},
				Quiet: []string{"20m", "35m"},
			}},
		},
	}
}
