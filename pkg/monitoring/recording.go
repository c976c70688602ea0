package monitoring

// Statuses of a relay's own: it had no room, or could not reach the peer that it had a
// reservation of. What a client does wrong, such as to ask for a peer without a
// reservation, is no error of the relay.
const relayFaults = `status=~"RESERVATION_REFUSED|RESOURCE_LIMIT_EXCEEDED|CONNECTION_FAILED"`

// relayRecordings are made of what each relay counts.
func relayRecordings() []Recording {
	const each, all = `sum by (fleet, node, region)`, `sum by (fleet)`
	refused := func(window, selector string) string {
		reservations := each + ` (increase(relay_reservations_refused_total` + selector + `[` + window + `]))`
		circuits := each + ` (increase(relay_circuits_refused_total` + selector + `[` + window + `]))`
		return reservations + "\n+\n" + circuits + "\nor\n" + reservations + "\nor\n" + circuits
	}
	return []Recording{
		{
			"node:relay_reservations:saturation",
			`max by (fleet, node, region) (relay_reservations / (relay_reservations_limit > 0))`,
			"Share of its reservations that a relay has given away.",
		},
		{
			"fleet:relay_reservations:saturation",
			all + ` (relay_reservations and (relay_reservations_limit > 0)) / ` + all + ` (relay_reservations_limit > 0)`,
			"Share of all reservations that are held, of the relays that say their limit.",
		},
		{
			"node:relay_refused:increase10m",
			refused("10m", ""),
			"Requests for reservations and circuits that a relay refused in 10 minutes.",
		},
		{
			"node:relay_errors:increase10m",
			refused("10m", "{"+relayFaults+"}"),
			"Those that it refused for a reason of its own.",
		},
		{
			"node:relay_requests:increase10m",
			each + ` (increase(relay_reservations_accepted_total[10m]))
+
` + each + ` (increase(relay_circuits_established_total[10m]))
+
node:relay_refused:increase10m`,
			"Requests that a relay answered in 10 minutes, renewals left out.",
		},
		{
			"node:relay_refused:ratio10m",
			`node:relay_refused:increase10m / (node:relay_requests:increase10m > 0)`,
			"Share of a relay's requests that it refused. No requests, no share.",
		},
		{
			"fleet:relay_refused:ratio10m",
			all + ` (node:relay_refused:increase10m) / (` + all + ` (node:relay_requests:increase10m) > 0)`,
			"Share of all requests that were refused.",
		},
		{
			"node:relay_errors:ratio10m",
			`node:relay_errors:increase10m / (node:relay_requests:increase10m > 0)`,
			"Share of a relay's requests that it refused for a reason of its own.",
		},
		{
			"fleet:relay_bytes_relayed:rate5m",
			all + ` (rate(relay_bytes_relayed_total[5m]))`,
			"Bytes a second over circuits of users, both directions.",
		},
		{
			"fleet:relay_users:sum",
			all + ` (relay_users)`,
			"Users connected now. One that is connected to two relays counts twice.",
		},
		{
			"fleet:relay_users_lifetime:at_least",
			`max by (fleet) (relay_users_lifetime)`,
			"Distinct users of the fleet are at least the most that one relay has met; without serve no more is known.",
		},
		{
			"fleet:relay_users_lifetime:at_most",
			all + ` (relay_users_lifetime)`,
			"And at most the sum, if every relay is read.",
		},
	}
}

// usual is how long it was, as a rule, from one value of a time to the next: the median of
// its jumps. What came only once, such as a pause of a night, does not count. The time goes
// on in steps of 5 minutes, so what is more frequent counts as that.
func usual(of string) string {
	return `quantile_over_time(0.5, (max by (fleet) (` + of + `) - max by (fleet) (` + of + ` offset 5m) > 0)[3d:5m])`
}

// fleetRecordings are made of what serve counts.
func fleetRecordings() []Recording {
	return []Recording{
		{
			"fleet:peers:unique",
			`max by (fleet) (fleet_lifetime_unique_peers)`,
			"Distinct peers of the fleet, ever, each counted once. With more than one serve, of the one that knows most.",
		},
		{
			"fleet:peers:active",
			`max by (fleet, window) (fleet_active_peers)`,
			"Distinct peers of the fleet in the last 24 h, 7 d and 30 d.",
		},
		{
			"fleet:relays_verified:margin",
			`max by (fleet) (fleet_relays_verified) - max by (fleet) (fleet_relays_floor)`,
			"How many relays may fail before the floor is broken.",
		},
		{
			"fleet:look_interval:seconds",
			usual("fleet_dns_read_time_seconds") + `
or
max by (fleet) (fleet_dns_read_time_seconds) * 0 + 1800`,
			"How long after one look of serve at the fleet the next is expected: as was usual for three days; half an hour as long as there was none.",
		},
		{
			"fleet:collection_interval:seconds",
			`max by (fleet) (
  fleet_collection_interval_seconds
  or
  (
    ` + usual("fleet_collected_time_seconds") + `
    or
    max by (fleet) (fleet_collected_time_seconds) * 0 + 3600
  )
)`,
			"And after one collection: as was usual for three days, an hour as long as there was none, or what serve says if that is longer: another one may collect.",
		},
	}
}
