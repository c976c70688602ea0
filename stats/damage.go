package stats

import "strings"

// DamagesCensus reports whether what a relay says in [Telemetry.Damaged] is, or may be, about
// what it knows of peers. What it says of the files of its counters and its cursors is not:
// where these were lost, its census is still whole.
func DamagesCensus(text string) bool {
	return !strings.HasPrefix(text, "relay-counters.json ") && !strings.HasPrefix(text, "relay-cursors.json ")
}
