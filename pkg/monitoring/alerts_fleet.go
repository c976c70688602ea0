package monitoring

// fleetAlerts are decided by what 'fleetctl serve' counts.
func fleetAlerts() []Alert {
	return []Alert{
		{
			Name: "FleetBelowFloor", Severity: Critical, For: "2m",
			Expr:        `max by (fleet) (fleet_relays_verified) < max by (fleet) (fleet_relays_floor)`,
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
				Name: "what nobody probed is unknown, and no alarm",
				Input: []Input{
					{`fleet_relays_floor{fleet="f"}`, "2x30"},
				},
				Quiet: []string{"8m", "20m"},
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
			Name: "FleetCollectorStale", Severity: Critical, For: "5m",
			Expr: `max by (fleet) (up{job="fleetctl"}) == 0
or
(time() - max by (fleet) (fleet_collected_time_seconds) > 5 * max by (fleet) (fleet_collection_interval_seconds))
or
(time() - max by (fleet) (fleet_collected_time_seconds) > 2 * 3600 unless max by (fleet) (fleet_collection_interval_seconds))
or
(max by (fleet) (up{job="fleetctl"}) unless max by (fleet) (fleet_collected_time_seconds))
or
(max by (fleet) (fleet_relays_floor) unless (max by (fleet) (fleet_relays_verified) and max by (fleet) (fleet_dns_differences)))`,
			Summary:     `fleet {{ $labels.fleet }} is not watched: nothing new is collected`,
			Description: `'fleetctl serve' of fleet {{ $labels.fleet }} does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.`,
			Cases: []Case{{
				Name: "serve is ended and started again",
				Input: []Input{
					{`up{job="fleetctl",fleet="f",instance="s"}`, "1x4 0x9 1x16"},
					{`fleet_collected_time_seconds{fleet="f"}`, "0+60x4 _x9 840+60x15"},
					{`fleet_collection_interval_seconds{fleet="f"}`, "60x4 _x9 60x15"},
				},
				Fires: "11m", Quiet: []string{"4m", "8m", "16m"},
				Summary:     "fleet f is not watched: nothing new is collected",
				Description: "'fleetctl serve' of fleet f does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.",
			}, {
				Name: "serve answers, and no relay answers it",
				Input: []Input{
					{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
					{`fleet_collected_time_seconds{fleet="f"}`, "0+60x4 240x16 1260+60x19"},
					{`fleet_collection_interval_seconds{fleet="f"}`, "60x40"},
				},
				Fires: "18m", Quiet: []string{"4m", "10m", "24m"},
				Summary:     "fleet f is not watched: nothing new is collected",
				Description: "'fleetctl serve' of fleet f does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.",
			}, {
				Name: "serve never read a relay, and then does",
				Input: []Input{
					{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
					{`fleet_collected_time_seconds{fleet="f"}`, "_x19 1200+60x20"},
					{`fleet_collection_interval_seconds{fleet="f"}`, "60x40"},
				},
				Fires: "10m", Quiet: []string{"4m", "24m"},
				Summary:     "fleet f is not watched: nothing new is collected",
				Description: "'fleetctl serve' of fleet f does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.",
			}, {
				Name: "another computer collects, and stops",
				Input: []Input{
					{`up{job="fleetctl",fleet="f",instance="s"}`, "1x240"},
					{`fleet_collected_time_seconds{fleet="f"}`, "0+60x4 240x150 9360+60x80"},
				},
				Fires: "140m", Quiet: []string{"60m", "120m", "160m"},
				Summary:     "fleet f is not watched: nothing new is collected",
				Description: "'fleetctl serve' of fleet f does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.",
			}, {
				Name: "serve cannot read DNS, and then it can",
				Input: []Input{
					{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
					{`fleet_collected_time_seconds{fleet="f"}`, "0+60x40"},
					{`fleet_collection_interval_seconds{fleet="f"}`, "60x40"},
					{`fleet_relays_floor{fleet="f"}`, "2x40"},
					{`fleet_relays_verified{fleet="f"}`, "3x40"},
					{`fleet_dns_differences{fleet="f"}`, "0x4 _x19 0x15"},
				},
				Fires: "18m", Quiet: []string{"4m", "8m", "28m"},
				Summary:     "fleet f is not watched: nothing new is collected",
				Description: "'fleetctl serve' of fleet f does not answer, has read no relay for five intervals, or does not know what DNS holds or who serves. Alerts that go by its numbers cannot fire.",
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
