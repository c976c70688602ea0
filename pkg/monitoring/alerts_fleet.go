package monitoring

import "slices"

// fleetAlerts are decided by what 'fleetctl serve' counts.
func fleetAlerts() []Alert { return slices.Concat(servingAlerts(), unknownAlerts()) }

// servingAlerts are on what is known.
func servingAlerts() []Alert {
	return []Alert{
		{
			Name: "FleetBelowFloor", Severity: Critical, For: "2m",
			// One that fires goes on until it is known to be over, or FleetCollectorStale says
			// that nobody knows: to be told "resolved" meanwhile would be no truth.
			Expr: `max by (fleet) (fleet_relays_verified) < max by (fleet) (fleet_relays_floor)
or
(max by (fleet) (last_over_time(fleet_relays_verified[10m])) < max by (fleet) (last_over_time(fleet_relays_floor[10m]))
  and on (fleet) ALERTS{alertname="FleetBelowFloor",alertstate="firing"}
  unless max by (fleet) (fleet_relays_verified))`,
			Summary:     `fleet {{ $labels.fleet }}: fewer relays serve than dns.min_relays`,
			Description: `{{ $value }} published relays of fleet {{ $labels.fleet }} were found serving.`,
			Cases: []Case{{
				Name: "two of three relays die and come back",
				Input: []Input{
					{`fleet_relays_floor{fleet="f"}`, "2x30"},
					{`fleet_relays_verified{fleet="f"}`, "3x4 1x10 3x14"},
				},
				Fires: "8m", Quiet: []string{"4m", "6m", "20m"},
				Summary:     "fleet f: fewer relays serve than dns.min_relays",
				Description: "1 published relays of fleet f were found serving.",
			}, {
				Name:  "what nobody probed is unknown, and no alarm",
				Input: []Input{{`fleet_relays_floor{fleet="f"}`, "2x30"}},
				Quiet: []string{"8m", "20m"},
			}, {
				Name: "it was below for a moment, and then nobody knew: no alarm",
				Input: []Input{
					{`fleet_relays_floor{fleet="f"}`, "2x60"},
					{`fleet_relays_verified{fleet="f"}`, "3x4 0 stale _x50"},
				},
				Quiet: []string{"6m", "8m", "12m", "40m"},
			}, {
				Name:  "what is below the floor and then unknown is not over yet",
				Input: lost(),
				Fires: "16m", Quiet: []string{"4m", "22m", "40m"},
				Summary:     "fleet f: fewer relays serve than dns.min_relays",
				Description: "1 published relays of fleet f were found serving.",
			}},
		},
		{
			Name: "RelayPublishedNotServing", Severity: Warning, For: "10m",
			Expr: `(max by (fleet, node, region) (fleet_relay_published) == 1)
and
(max by (fleet, node, region) (fleet_relay_serving) == 0)`,
			Summary:     `{{ $labels.node }} is published and does not serve`,
			Description: `DNS sends clients to {{ $labels.node }} of fleet {{ $labels.fleet }}, and a probe found that it does not serve them.`,
			Cases: []Case{{
				Name: "a relay dies and comes back",
				Input: []Input{
					{`fleet_relay_published{fleet="f",node="nyc1-1",region="nyc1"}`, "1x40"},
					{`fleet_relay_serving{fleet="f",node="nyc1-1",region="nyc1"}`, "1x4 0x19 1x15"},
				},
				Fires: "18m", Quiet: []string{"4m", "12m", "26m"}, Relay: true,
				Summary:     "nyc1-1 is published and does not serve",
				Description: "DNS sends clients to nyc1-1 of fleet f, and a probe found that it does not serve them.",
			}, {
				Name: "one that could not be probed is unknown, and one that is not published may rest",
				Input: []Input{
					{`fleet_relay_published{fleet="f",node="nyc1-1",region="nyc1"}`, "1x40"},
					{`fleet_relay_published{fleet="f",node="fra1-1",region="fra1"}`, "0x40"},
					{`fleet_relay_serving{fleet="f",node="fra1-1",region="fra1"}`, "0x40"},
				},
				Quiet: []string{"30m"},
			}},
		},
		{
			Name: "FleetDNSDiffers", Severity: Warning, For: "15m",
			Expr:        `max by (fleet) (fleet_dns_differences) > 0`,
			Summary:     `fleet {{ $labels.fleet }}: DNS differs from the plan`,
			Description: `'fleetctl dnsaddr sync' would add or remove {{ $value }} records of fleet {{ $labels.fleet }}.`,
			Cases: []Case{{
				Name: "a record is removed by hand and put back",
				Input: []Input{
					{`fleet_dns_differences{fleet="f"}`, "0x4 1x20 0x15"},
				},
				Fires: "22m", Quiet: []string{"4m", "18m", "26m"},
				Summary:     "fleet f: DNS differs from the plan",
				Description: "'fleetctl dnsaddr sync' would add or remove 1 records of fleet f.",
			}},
		},
		{
			Name: "FleetCertificateExpires", Severity: Warning, For: "1h",
			Expr:        `min by (fleet) (fleet_certificate_expiry_time_seconds) - time() < 14 * 86400`,
			Summary:     `fleet {{ $labels.fleet }}: a certificate ends soon`,
			Description: `The certificate of 'fleetctl serve' of fleet {{ $labels.fleet }} ends in {{ $value | humanizeDuration }}.`,
			Cases: []Case{{
				Name: "13 days are left, and it is renewed",
				Input: []Input{
					{`fleet_certificate_expiry_time_seconds{fleet="f",certificate="serve"}`, "1130280x119 7776000x60"},
				},
				Fires: "118m", Quiet: []string{"30m", "121m"},
				Summary:     "fleet f: a certificate ends soon",
				Description: "The certificate of 'fleetctl serve' of fleet f ends in 13d 0h 0m 0s.",
			}},
		},
	}
}
