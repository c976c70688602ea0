package stats

// Sentences that several definitions share.
const (
	fromCensus = "The census of every relay (`/api/census/delta`, or bootnode-peers.json of an old one), merged by public key in the history."
	newKey     = "A peer that makes itself a new key is a new peer."
	lastSight  = "A relay notes a sight when a peer comes, when it goes, and while it stays whenever the census is written, so that a peer that is " +
		"connected is never older than its relay's last answer. An old daemon notes it only when a peer comes."
	forgets = "A relay with a full census forgets those unseen for longest: whoever came and was forgotten between two collections is missing."
)

// peerMetrics count each peer once, over all relays.
func peerMetrics() []Metric {
	active := func(alias, span, title string) Metric {
		return Metric{
			Name: "active_peers_" + span, Alias: alias, Unit: "peers", Kind: KindMoment, Title: title,
			Definition: "How many different peers were connected to any relay of the fleet at some time in the " + spanWords(span) +
				" before the end of the step, each counted once: the latest `last_seen_at` that any census has for its key is not older.",
			Source: fromCensus,
			Limits: lastSight + " Points of the past are as the history knew them at the collection nearest to the end of the step; without a collection " +
				"in the step they are unknown.",
		}
	}
	return []Metric{
		{
			Name: "lifetime_unique_peers", Alias: "lifetime", Unit: "peers", Kind: KindTotal, Title: "Peers ever seen",
			Definition: "How many different public keys were ever in the census of any relay of the fleet: each is counted once, however many relays it met, " +
				"however often it came back, under whatever peer ID and from wherever. What a relay told before it was replaced stays counted.",
			Source: fromCensus + " `fleetctl stats` adds the census of the moment to the history; where there is no history it has that census alone, says so, and falls " +
				"when a relay loses its own. `fleetctl stats count` counts census files. With its `--estimate`, a million peers or more are a HyperLogLog of the same keys with the relative standard error beside it.",
			Limits: newKey + " " + forgets + " A machine that died before its census was read to its end, and was replaced in its own slot, is not told of: whom it alone met since its last whole reading " +
				"is missing, and nothing says so." +
				" Two things make it fall, and both are told: a peer was erased (`fleetctl stats forget`), or its key turned out to be the fleet's own.",
		},
		active("active", "24h", "Peers active in 24 hours"),
		active("", "7d", "Peers active in 7 days"),
		active("", "30d", "Peers active in 30 days"),
		{
			Name: "new_peers", Alias: "new", Unit: "peers", Kind: KindPeriod, Title: "New peers",
			Definition: "How many peers were seen for the first time within the step: the earliest `first_seen_at` that any census ever had for the key lies in it. " +
				"Over all steps they add up to lifetime_unique_peers.",
			Source: fromCensus,
			Limits: newKey + " A first sight is not made later by a relay that lost its census: the earliest one known stands. One that becomes known late (a relay " +
				"that was away) is added to the step in which it happened. While a relay was not read, a step lacks those whom only that relay met, and has those whom it " +
				"had met before: it may be wrong in both directions, and the figure then names the relay.",
		},
		{
			Name: "returning_peers", Alias: "returning", Unit: "peers", Kind: KindPeriod, Title: "Returning peers",
			Definition: "How many different peers were seen within the step and for the first time before it. With new_peers they are all that were active in the step.",
			Source:     fromCensus,
			Limits: "A census has the last sight of a peer and no list of its visits: of a peer that came on each of three days between two collections, the last day " +
				"is known. Collect at least once a day: it is counted by day or a longer step, and days are kept for about two months, weeks for more than a year. " + lastSight,
		},
		{
			Name: "retention_weekly", Alias: "retention", Unit: "1", Kind: KindCohorts, By: "week", Title: "Retention by weekly cohort",
			Definition: "Of the peers whose first sight lies in one week (a cohort; weeks are those of UTC, from Monday), the share that was seen in each week from then on, 0 to 1: week 0 is the " +
				"cohort's own and is 1. The last share of each cohort is of the week of now, which is not over: it still grows. A week from which there is no collection is unknown.",
			Source: fromCensus,
			Limits: newKey + " Such a peer counts as lost in its old cohort. As for returning_peers, a peer is known to have been there in a week only if a collection in " +
				"or soon after it saw that as its last sight.",
		},
	}
}

// spanWords is a span of time in words.
func spanWords(span string) string {
	switch span {
	case "24h":
		return "24 hours"
	case "7d":
		return "7 days (168 hours)"
	}
	return "30 days (720 hours)"
}

// momentMetrics count connections of the moment.
func momentMetrics() []Metric {
	const aligned = "The minutes of every relay (`/api/telemetry`): how many users were connected at the end of each whole minute, at most the last 1,440, moved by " +
		"the difference between its clock and ours."
	return []Metric{
		{
			Name: "concurrent_peers", Alias: "concurrent", Unit: "peers", Kind: KindMoment, Title: "Peers connected at once",
			Definition: "How many users were connected to the fleet at once: the sum over its relays of the users connected at the end of one and the same minute. A step of " +
				"more than a minute has the mean of those of its minutes that are known.",
			Source: aligned,
			Limits: "A peer that is connected to two relays counts twice: relays tell how many, not who. Shorter spikes than a minute are not seen. A minute in which a relay " +
				"was not running has nothing of it; one of a relay that did not answer is unknown, and the figure says at least.",
		},
		{
			Name: "peak_concurrent_peers", Alias: "peak", Unit: "peers", Kind: KindPeriod, Title: "Most peers connected at once",
			Definition: "The largest concurrent_peers of any minute of the step, fleet-wide: the relays are added up minute by minute and the largest sum is taken. It is not " +
				"the sum of the relays' peaks, which happen at different times.",
			Source: aligned,
			Limits: "As for concurrent_peers. Of an old daemon only the peak of its process is known, without its time: it is in its row of `fleetctl stats` and not in here.",
		},
		{
			Name: "sessions", Unit: "sessions", Kind: KindPeriod, By: "length", Title: "Sessions ended",
			Definition: "How many sessions of users ended within the step, by how long they had lasted: at most 10 s, 1 min, 5 min, 15 min, 1 h, 6 h, 24 h, or longer. A session " +
				"is the time from a peer's first connection to a relay until the end of its last one to that relay.",
			Source: counted,
			Limits: "A session that goes on is not in it yet. A peer on two relays has two sessions. Those that a crash of the daemon cut are counted when it runs again, as if " +
				"they had ended when it last wrote its counters; one that began after that is missing. A restart in order ends them.",
		},
		{
			Name: "session_length_seconds", Alias: "session_length", Unit: "seconds", Kind: KindPeriod, Title: "Mean session length",
			Definition: "The mean length of the sessions that ended within the step: their seconds divided by their number. Unknown where none ended.",
			Source:     counted,
			Limits:     "A few sessions of weeks weigh as much as thousands of seconds: see sessions for how lengths are spread. Sessions that go on are not in it.",
		},
	}
}
