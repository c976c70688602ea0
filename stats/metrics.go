package stats

import (
	"fmt"
	"slices"
	"strings"
)

// Metrics are the definitions of everything that a fleet is measured by, in the order in
// which people ask: who, how many at once, from where, doing what. The result is new.
func Metrics() []Metric {
	all := slices.Concat(peerMetrics(), momentMetrics(), splitMetrics(), trafficMetrics(), relayMetrics())
	for i := range all {
		all[i].Silence = silenceOf(all[i])
	}
	return all
}

// MetricOf finds a metric by its name or its alias.
func MetricOf(name string) (Metric, bool) {
	for _, m := range Metrics() {
		if name != "" && (m.Name == name || m.Alias == name) {
			return m, true
		}
	}
	return Metric{}, false
}

// Explain is the definition for people: the title, then what it means, where it comes
// from and what it cannot say, each a paragraph of Markdown.
func (m Metric) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n", m.Title)
	fmt.Fprintf(&b, "Unit: %s. Over time: %s.", m.Unit, m.Kind.meaning())
	if m.By != "" {
		fmt.Fprintf(&b, " Split by %s.", m.By)
	}
	if m.Alias != "" {
		fmt.Fprintf(&b, " Short name: `%s`.", m.Alias)
	}
	fmt.Fprintf(&b, "\n\nWhat is counted: %s\n\nSource: %s\n\nLimits: %s\n\nWhere a relay did not answer, %s.\n", m.Definition, m.Source, m.Limits, m.Silence.meaning())
	return b.String()
}

// meaning is the kind in words.
func (k Kind) meaning() string {
	switch k {
	case KindTotal:
		return "a total, which never falls"
	case KindPeriod:
		return "counted within each step"
	case KindMoment:
		return "a state at the end of each step"
	case KindCohorts:
		return "a table by week"
	}
	return string(k)
}

// MetricsPage is docs/metrics.md, made of [Metrics].
func MetricsPage() string {
	var b strings.Builder
	b.WriteString(metricsHead)
	b.WriteString("\n| Metric | Short name | Unit | Over time | Split by |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range Metrics() {
		alias := ""
		if m.Alias != "" {
			alias = "`" + m.Alias + "`"
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s |\n", m.Name, m.Name, alias, m.Unit, m.Kind, m.By)
	}
	for _, m := range Metrics() {
		fmt.Fprintf(&b, "\n## %s\n\n%s", m.Name, m.Explain())
	}
	return b.String()
}

const metricsHead = `# Metrics

What each figure of ` + "`fleetctl stats`" + ` means. ` + "`fleetctl stats explain METRIC`" + ` prints the same. A test holds this page to the
definitions in the code.

These hold for all of them:

- A *peer* is a public key, whatever it calls itself and from wherever it comes. The fleet's own relays and the probes of ` + "`fleetctl`" + `
  are no peers and are counted apart.
- What is unknown is not 0: it is ` + "`null`" + ` in JSON, an empty cell in CSV, ` + "`n/a`" + ` for people.
- Where a relay did not answer, or has an old daemon that does not tell of it, the figure is of the others and names the relay. It says
  *at least* where what the relay would tell can only add to it; where it does not, the figure is no bound.
- Everything is counted and exact unless a relative standard error stands beside it. An estimate is made only where one is asked for.
- Times are those of the relays, corrected by how much their clocks differ from that of the collector; a daemon of old does not tell its
  clock, and the sights of a relay whose clock is wrong by more than a day stay as they are. A sight in the future is taken as one of
  now and reported.
- Without a step, what is counted over time is of the last 24 hours.
- A step is a minute, an hour, a calendar day or a calendar week (from Monday) in the time zone that was asked for. What is counted over time,
  and who was connected, is kept by hours after 3 days, and by days of UTC after 35; shorter steps of before are unknown. Where a border of a step cuts such an hour or
  day (in another time zone than UTC, or in one of half an hour) the figure is called *blurred*: what was near the border may stand on its other side.
- A relay writes what it counted every 30 seconds (` + "`census_every`" + `) and whenever a collector asks, and a collector is told what is written:
  no counter here falls when a daemon is killed. The counters in a relay's own ` + "`/metrics`" + ` are of its memory: they begin at 0 with each
  process, which Prometheus expects, and do not fall while it runs.
- *Over time*: a *total* never falls; a *period* is counted within each step; a *moment* is a state at the end of each step; *cohorts*
  are a table by week.
`
