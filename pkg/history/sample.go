package history

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/stats"
)

// Names of metrics that are kept as figures of collections.
const (
	metricLifetime = "lifetime_unique_peers"
	metricNAT      = "nat_status"
	metricOverlap  = "relay_overlap"
)

// activeSpans are the metrics of who was active lately, and how lately.
func activeSpans() map[string]int64 {
	return map[string]int64{"active_peers_24h": daySecs, "active_peers_7d": 7 * daySecs, "active_peers_30d": 30 * daySecs}
}

// momentSpan is how far back the peers of a metric of the moment may have been seen, by
// [activeSpans] and [groupMetrics]; all others are of all time.
func momentSpan(metric string, at int64) int64 {
	if span, ok := activeSpans()[metric]; ok {
		return span
	}
	if slices.Contains(groupMetrics(), metric) {
		return 7 * daySecs
	}
	return at
}

// groupCheap is up to how many active peers they are counted by group at every collection;
// beyond it, once an hour.
const groupCheap = 50_000

// sample writes down what is so at this collection.
func (in *ingestion) sample(ctx context.Context) error {
	if err := in.t.exec(ctx, `DELETE FROM figures WHERE at = ?`, in.at); err != nil {
		return err
	}
	var lifetime, active int64
	if err := in.t.one(ctx, `SELECT COALESCE(SUM(peers), 0) FROM overlap`, nil, &lifetime); err != nil {
		return err
	}
	if err := in.figure(ctx, metricLifetime, "", lifetime); err != nil {
		return err
	}
	for name, secs := range activeSpans() {
		var n int64
		err := in.t.one(ctx, `SELECT COUNT(*) FROM peers WHERE own = 0 AND last_seen >= ?`, []any{in.at - secs}, &n)
		if err != nil {
			return err
		}
		if name == "active_peers_7d" {
			active = n
		}
		if err := in.figure(ctx, name, "", n); err != nil {
			return err
		}
	}
	err := in.t.exec(ctx, `INSERT INTO figures (at, metric, label, value) SELECT ?, ?, relays, peers FROM overlap WHERE peers > 0
	UNION SELECT ?, ?, ?, 0`, in.at, metricOverlap, in.at, metricOverlap, countedLabel)
	if err != nil {
		return err
	}
	if err := in.sampleNAT(ctx); err != nil {
		return err
	}
	if active > groupCheap && floor(in.grouped, 3600) == floor(in.at, 3600) {
		return nil
	}
	in.grouped = in.at
	return in.sampleGroups(ctx)
}

func (in *ingestion) figure(ctx context.Context, metric, label string, value int64) error {
	return in.t.exec(ctx, `INSERT OR REPLACE INTO figures (at, metric, label, value) VALUES (?, ?, ?, ?)`, in.at, metric, label, value)
}

// sampleNAT counts the relays that answered by what they say of their NAT.
func (in *ingestion) sampleNAT(ctx context.Context) error {
	groups := map[string]int64{countedLabel: 0}
	for _, r := range in.relays {
		if r.answered != in.at || r.gauges == nil {
			continue
		}
		var g stats.Gauges
		if err := json.Unmarshal([]byte(*r.gauges), &g); err != nil {
			return err
		}
		groups[natLabel(g.NATStatus)]++
	}
	for label, n := range groups {
		if err := in.figure(ctx, metricNAT, label, n); err != nil {
			return err
		}
	}
	return nil
}

// sampleGroups counts the peers that were active in 7 days by each of their groups, in
// one pass.
func (in *ingestion) sampleGroups(ctx context.Context) error {
	regions := make(map[int64]string)
	for _, r := range in.relays {
		regions[r.id] = r.region
	}
	groups := make(map[string]map[string]int64)
	for _, metric := range groupMetrics() {
		groups[metric] = make(map[string]int64)
		if err := in.figure(ctx, metric, countedLabel, 0); err != nil {
			return err
		}
	}
	err := each(ctx, in.t, `SELECT tier, family, transport, agent, relay, COUNT(*) FROM peers WHERE own = 0 AND last_seen >= ? GROUP BY 1, 2, 3, 4, 5`,
		[]any{in.at - 7*daySecs}, func(scan func(...any) error) error {
			var tier, family, transport, agent string
			var relay, n int64
			err := scan(&tier, &family, &transport, &agent, &relay, &n)
			name, _, _ := strings.Cut(agent, "/")
			for i, label := range []string{tier, regions[relay], transport, family, name, agent} {
				if label == "" {
					label = unknownLabel
				}
				groups[groupMetrics()[i]][label] += n
			}
			return err
		})
	if err != nil {
		return err
	}
	for _, metric := range groupMetrics() {
		for label, n := range largest(groups[metric], maxLabels) {
			if err := in.figure(ctx, metric, label, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// groupMetrics are the metrics that split those active in 7 days, in the order of
// sampleGroups.
func groupMetrics() []string {
	return []string{"peers_by_tier", "peers_by_region", "peers_by_transport", "peers_by_family", "peers_by_agent", "peers_by_version"}
}
