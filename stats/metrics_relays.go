package stats

// counted is the source of what relays add up.
const counted = "Counters of every relay (`/api/telemetry`), which grow within an epoch and survive a restart. What an epoch grew by between two collections is " +
	"added to the step of the later one; a new epoch (a new machine, a damaged file) is added whole, and a value that fell adds nothing. What a relay had " +
	"counted before its first collection is in its totals and in no step: the step of that collection says at least."

// late is the limit of what is only known at the next collection.
const late = "A relay that was away is added when it answers again, in the step of that collection."

// zeroOfOld is the limit of what old daemons report as 0 whatever there was.
const zeroOfOld = "An old daemon that never said more than 0 does not count them: of it they are unknown, and a sum over it is at least so much. "

// splitMetrics split those active in 7 days.
func splitMetrics() []Metric {
	split := func(by, title, definition, limits string) Metric {
		return Metric{
			Name: "peers_by_" + by, Alias: by, Unit: "peers", Kind: KindMoment, By: by, Title: title,
			Definition: "Of the peers active in 7 days (active_peers_7d), each in exactly one group, so that the groups add up to it: " + definition,
			Source:     fromCensus,
			Limits:     "A peer that changed counts only where it was last. Of more than 50,000 active peers the groups are counted once an hour. " + limits,
		}
	}
	return []Metric{
		split("tier", "Peers by tier", "the third field of the agent string (`name/version/tier`) at its last sight; `unknown` without one.",
			"Peers choose their agent string: it is what they say of themselves."),
		split("region", "Peers by region", "the region of the relay that saw it last.",
			"It is where the relay stands, not where the peer is: addresses are not kept."),
		split("transport", "Peers by transport", "of its last connection: `tcp`, `quic-v1`, `ws`, `other`; `unknown` where the relay does not tell.",
			"Old daemons do not tell."),
		split("family", "Peers by address family", "of the address of its last connection: `ipv4`, `ipv6`, `relay` (through another relay), `dns`, `other`.",
			"It is the address that the relay sees: that of a NAT, where there is one."),
		split("agent", "Peers by agent", "the first field of the agent string at its last sight, the name of the program; `unknown` without one.",
			"Peers choose their agent string. Beyond 64 names the smallest are `other`."),
		split("version", "Peers by version", "name and version of the agent string at its last sight; `unknown` without one.",
			"Peers choose their agent string. Beyond 64 versions the smallest are `other`."),
	}
}

// trafficMetrics are what the relays did for peers.
func trafficMetrics() []Metric {
	metric := func(name, alias, unit, by, title, definition, limits string) Metric {
		return Metric{Name: name, Alias: alias, Unit: unit, Kind: KindPeriod, By: by, Title: title, Definition: definition, Source: counted, Limits: limits + late}
	}
	return []Metric{
		metric("reservations_granted", "reservations", "reservations", "", "Reservations granted",
			"How many new reservations were granted within the step. A renewal by a peer that holds one is not counted.",
			"An old daemon counts renewals too and begins again at each start. "+zeroOfOld),
		metric("reservations_refused", "", "reservations", "reason", "Reservations refused",
			"How many requests for a reservation were refused within the step, by the status that was sent, such as `RESERVATION_REFUSED` (no room, or draining).",
			"A peer that asks again every minute counts every minute. Old daemons do not tell. "),
		metric("circuits_opened", "circuits", "circuits", "", "Circuits opened",
			"How many relayed connections from one peer to another were opened within the step.",
			"A circuit that was opened may still have failed at its end. "+zeroOfOld),
		metric("circuits_refused", "", "circuits", "reason", "Circuits refused",
			"How many requests for a circuit were refused within the step, by the status that was sent, such as `NO_RESERVATION` or `RESOURCE_LIMIT_EXCEEDED`.",
			"Old daemons do not tell. "),
		metric("bytes_relayed", "bytes", "bytes", "", "Bytes relayed",
			"How many bytes went over circuits that users opened within the step, both directions added, as the peers sent them.",
			"Those of circuits that probes of `fleetctl` and relays of the fleet open are counted apart ([`own_bytes_relayed`](#own_bytes_relayed)). Those of a peer that leaves before it said what it is are counted here, though it is no user in any other figure. Without what TCP, QUIC, TLS and the multiplexer add: the provider's bill shows more, and each byte comes in and goes out. "),
		metric("own_bytes_relayed", "own_bytes", "bytes", "", "Bytes relayed for the fleet itself",
			"How many bytes went over circuits that probes of `fleetctl` and relays of the fleet opened within the step, both directions added. In a relay's own `/metrics` it is `relay_own_bytes_relayed_total`.",
			"Whoever says that it is a probe or a relay of the fleet is counted here, and anybody can say so: more than probes need is somebody who uses the relays unseen. `fleetctl usage` adds them to `bytes_relayed`, since they are transfer all the same. "+
				"Daemons of before this was told do not tell: of them it is unknown. "),
		metric("joins", "", "connections", "", "Peers that joined",
			"How often a user connected to a relay within the step: each begin of a session, so that a peer that comes and goes counts each time.",
			"A peer on two relays counts twice. Who joined between the last write of the counters and a crash of the daemon is missing. "),
		metric("leaves", "", "connections", "", "Peers that left",
			"How often a session of a user with a relay ended within the step. Joins and leaves together are the churn.",
			"Whom a crash of the daemon cut off is counted as left when it runs again. "),
		metric("hole_punches", "", "hole punches", "outcome", "Hole punches",
			"How many hole punches clients reported within the step, `succeeded` and `failed`.",
			"Hole punches happen between two peers, where no relay can see how they end: unless clients report them, this is unknown (not observable), never 0. "+
				"The zeros of an old daemon are taken as unknown. "),
	}
}

// relayMetrics are about the relays themselves.
func relayMetrics() []Metric {
	return []Metric{
		{
			Name: "nat_status", Unit: "relays", Kind: KindMoment, By: "status", Title: "Relays by NAT status",
			Definition: "How many relays say of themselves that they are reached from outside: `public`, `private`, or `unknown` while they do not know yet.",
			Source:     "Gauges of every relay (`/api/telemetry`, or `/api/stats` of an old one), which it learns by AutoNAT from others.",
			Limits:     "It is the relay's own opinion: `fleetctl verify` dials it. Relays that did not answer are in no group.",
		},
		{
			Name: "relay_overlap", Alias: "overlap", Unit: "peers", Kind: KindMoment, By: "relays", Title: "Peers by how many relays know them",
			Definition: "How many peers are in the census of exactly 1, 2, 3, … relays. The groups add up to the peers of all censuses that were read.",
			Source:     fromCensus,
			Limits: "Known is not connected: it is over the lifetime of each census. A relay that did not answer lowers the number of relays that peers are known to, so that " +
				"the groups, other than a total, may be wrong in both directions: the figure then names it.",
		},
		{
			Name: "relays_answering", Alias: "relays", Unit: "relays", Kind: KindMoment, Title: "Relays that answered",
			Definition: "How many relays of the fleet answered the last collection of the step with a report. Those that did not are named.",
			Source:     "The collection itself.",
			Limits:     "To answer is not to serve: `fleetctl verify` makes a reservation at each. Without a collection in the step it is unknown.",
		},
	}
}
