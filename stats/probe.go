package stats

import (
	"bytes"
	"cmp"
	"strings"
)

// ProbeName is what fleetctl's probes call themselves: the name and the tier of their
// agent string. Daemons of old remember the tier of a peer and nothing else of it.
const ProbeName = "fleetctl-probe"

// ProbeAgent is the agent string of a probe: name, version of fleetctl, tier. Without a
// version that is "dev".
func ProbeAgent(version string) string {
	return ProbeName + "/" + cmp.Or(version, "dev") + "/" + ProbeName
}

// IsProbe reports whether a peer of such an agent string, or as much of one as a census
// has, and such a tier is a probe of fleetctl and no user. "" is unknown. Anybody may
// claim to be one: the claim only keeps the peer out of the counts.
func IsProbe(agent, tier string) bool {
	return tier == ProbeName || strings.HasPrefix(agent, ProbeName+"/")
}

// IsProbe is [IsProbe] of the entry.
func (e CensusEntry) IsProbe() bool { return IsProbe(e.Agent, e.Tier) }

// IsProbe is [IsProbe] of the row.
func (r *Row) IsProbe() bool {
	return string(r.texts[fieldTier]) == ProbeName || bytes.HasPrefix(r.texts[fieldAgent], []byte(ProbeName+"/"))
}
