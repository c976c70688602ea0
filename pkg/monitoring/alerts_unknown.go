package monitoring

// unknownAlerts say that nobody knows. No other alert fires on what is not known, and one
// that fired ends when it is no longer known: somebody has to be told of that instead.
func unknownAlerts() []Alert {
	return []Alert{nobodyWatches(), nothingCollected()}
}

// lost is a fleet that is below its floor, of which serve then does not know any more who
// serves, and in the end knows that all is well.
func lost() []Input {
	return []Input{
		{`up{job="fleetctl",fleet="f",instance="s"}`, "1x60"},
		{`fleet_collected_time_seconds{fleet="f"}`, "0+60x60"},
		{`fleet_dns_read_time_seconds{fleet="f"}`, "0+60x60"},
		{`fleet_dns_differences{fleet="f"}`, "0x60"},
		{`fleet_relays_floor{fleet="f"}`, "2x60"},
		{`fleet_relays_verified{fleet="f"}`, "3x4 1x5 stale _x19 3x30"},
	}
}

// nobodyWatches is on serve's look at the fleet: who serves, and what DNS holds.
func nobodyWatches() Alert {
	const (
		summary     = "fleet f is not watched: it is not known whether it serves"
		description = "'fleetctl serve' of fleet f does not answer, or does not know who serves or what DNS holds now. Alerts that go by its numbers cannot fire."
	)
	return Alert{
		Name: "FleetCollectorStale", Severity: Critical, For: "5m",
		Expr: `max by (fleet) (up{job="fleetctl"}) == 0
or
(max by (fleet) (fleet_relays_floor) unless (max by (fleet) (fleet_relays_verified) and max by (fleet) (fleet_dns_differences)))
or
(time() - max by (fleet) (fleet_dns_read_time_seconds) > clamp_min(2.5 * fleet:look_interval:seconds, 900))`,
		Summary:     `fleet {{ $labels.fleet }} is not watched: it is not known whether it serves`,
		Description: `'fleetctl serve' of fleet {{ $labels.fleet }} does not answer, or does not know who serves or what DNS holds now. Alerts that go by its numbers cannot fire.`,
		Cases: []Case{{
			Name: "serve is ended and started again",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x4 0x9 1x16"},
				{`fleet_collected_time_seconds{fleet="f"}`, "0+60x4 _x9 840+60x15"},
				{`fleet_collection_interval_seconds{fleet="f",instance="s"}`, "60x4 _x9 60x15"},
			},
			Fires: "11m", Quiet: []string{"4m", "8m", "16m"}, Summary: summary, Description: description,
		}, {
			Name: "serve cannot read DNS, and then it can",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
				{`fleet_collected_time_seconds{fleet="f"}`, "0+60x40"},
				{`fleet_relays_floor{fleet="f"}`, "2x40"},
				{`fleet_relays_verified{fleet="f"}`, "3x40"},
				{`fleet_dns_differences{fleet="f"}`, "0x4 stale _x18 0x15"},
			},
			Fires: "18m", Quiet: []string{"4m", "8m", "28m"}, Summary: summary, Description: description,
		}, {
			Name:  "serve does not know any more who serves, and then it does",
			Input: lost(),
			Fires: "25m", Quiet: []string{"9m", "13m", "32m"}, Summary: summary, Description: description,
		}, {
			Name: "serve never knew who serves",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
				{`fleet_collected_time_seconds{fleet="f"}`, "0+60x40"},
				{`fleet_dns_differences{fleet="f"}`, "0x40"},
				{`fleet_relays_floor{fleet="f"}`, "2x40"},
				{`fleet_relays_verified{fleet="f"}`, "_x19 3x20"},
			},
			Fires: "10m", Quiet: []string{"4m", "24m"}, Summary: summary, Description: description,
		}, {
			Name: "serve hangs, and shows what it read long ago",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x60"},
				{`fleet_collected_time_seconds{fleet="f"}`, "0+60x60"},
				{`fleet_relays_floor{fleet="f"}`, "2x60"},
				{`fleet_relays_verified{fleet="f"}`, "3x60"},
				{`fleet_dns_differences{fleet="f"}`, "0x60"},
				{`fleet_dns_read_time_seconds{fleet="f"}`, "0+60x10 600x30 2460+60x19"},
			},
			Fires: "36m", Quiet: []string{"20m", "28m", "42m"}, Summary: summary, Description: description,
		}, {
			Name: "one look in half an hour is enough for who asked for no more",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x90"},
				{`fleet_collected_time_seconds{fleet="f"}`, "0+60x90"},
				{`fleet_relays_floor{fleet="f"}`, "2x90"},
				{`fleet_relays_verified{fleet="f"}`, "3x90"},
				{`fleet_dns_differences{fleet="f"}`, "0x90"},
				{`fleet_dns_read_time_seconds{fleet="f"}`, "0x29 1800x29 3600x29"},
			},
			Quiet: []string{"28m", "58m", "88m"},
		}},
	}
}

// nothingCollected is on the telemetry, whoever collects it.
func nothingCollected() Alert {
	const (
		summary     = "fleet f: the next collection of telemetry is overdue"
		description = "No relay of fleet f told its numbers for 15 minutes and for 2.5 times as long as usual, or none ever did. Numbers of peers are old; who serves and what DNS holds is known from elsewhere."
	)
	return Alert{
		Name: "FleetCollectorStale", Severity: Warning, For: "15m",
		Expr: `time() - max by (fleet) (fleet_collected_time_seconds) > clamp_min(2.5 * fleet:collection_interval:seconds, 900)
or
(max by (fleet) (up{job="fleetctl"}) == 1 unless max by (fleet) (fleet_collected_time_seconds))`,
		Summary:     `fleet {{ $labels.fleet }}: the next collection of telemetry is overdue`,
		Description: `No relay of fleet {{ $labels.fleet }} told its numbers for 15 minutes and for 2.5 times as long as usual, or none ever did. Numbers of peers are old; who serves and what DNS holds is known from elsewhere.`,
		Cases: []Case{{
			Name: "serve collects, and no relay answers it",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x80"},
				{`fleet_collected_time_seconds{fleet="f",instance="s"}`, "0+60x4 240x46 3060+60x20"},
				{`fleet_collection_interval_seconds{fleet="f",instance="s"}`, "60x80"},
			},
			Fires: "40m", Quiet: []string{"4m", "18m", "33m", "53m"}, Summary: summary, Description: description,
		}, {
			Name: "serve never read a relay, and then does",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x40"},
				{`fleet_collected_time_seconds{fleet="f",instance="s"}`, "_x24 1500+60x15"},
				{`fleet_collection_interval_seconds{fleet="f",instance="s"}`, "60x40"},
			},
			Fires: "20m", Quiet: []string{"10m", "28m"}, Summary: summary, Description: description,
		}, {
			// It stops twice: what came only once is not usual.
			Name: "serve only reads what another program collects every half hour, until it stops for two, and says how often it would collect itself",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x450"},
				{`fleet_collected_time_seconds{fleet="f",instance="s"}`, "0x59 3600x29 5400x119 12600x29 14400x29 16200x119 23400x29 25200x29"},
				{`fleet_collection_interval_seconds{fleet="f",instance="s"}`, "60x450"},
			},
			Fires: "370m", Quiet: []string{"58m", "88m", "235m", "265m", "355m", "395m", "445m"}, Summary: summary, Description: description,
		}, {
			Name: "serve collects every six hours, as it was told",
			Input: []Input{
				{`up{job="fleetctl",fleet="f",instance="s"}`, "1x200"},
				{`fleet_collected_time_seconds{fleet="f",instance="s"}`, "0x200"},
				{`fleet_collection_interval_seconds{fleet="f",instance="s"}`, "21600x200"},
			},
			Quiet: []string{"100m", "190m"},
		}},
	}
}
