package monitoring

import "slices"

// Severity says when an operator wants to know of an alert.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // now
	Warning  Severity = "warning"  // when the working day begins
)

// Alert is a rule that somebody is told of. Several may share a name: the section of the
// runbook is found by it.
type Alert struct {
	Name     string
	Severity Severity
	Expr     string // its result carries the labels fleet and, of a relay, node and region; no others
	For      string // how long it has to hold: "10m"
	Summary  string // one line; a template of Prometheus
	// Description says what was measured; a template of Prometheus.
	Description string
	// Cases prove that it fires, that it ends, and what it keeps silent about.
	Cases []Case
}

// Case is an alert tried against made up series, one sample each minute.
type Case struct {
	Name  string
	Input []Input
	Fires string   // when it fires; "" is never
	Quiet []string // when it does not
	// What it says when it fires. The fleet is "f", the relay "nyc1-1" in nyc1.
	Relay                bool
	Summary, Description string
}

// Input is a series in promtool's notation: `relay_ready{node="nyc1-1"}`, "1x5 0x5".
type Input struct{ Series, Values string }

// Alerts are all alerts: those on what a relay counts, and those on what serve counts.
func Alerts() []Alert { return slices.Concat(fleetAlerts(), relayAlerts()) }

// Recording is a rule that computes a series from others. Its name is level:metric:how.
type Recording struct {
	Name string
	Expr string
	Help string
}
