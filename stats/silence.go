package stats

import "strings"

// Silence says what it does to a figure that a relay did not answer.
type Silence string

// What a relay that did not answer may do.
const (
	SilenceLower   Silence = "lower"   // it can only add to the figure, and to each part of it: they are at least
	SilenceWhole   Silence = "whole"   // it can only add to the whole, but may move peers from one part to another
	SilenceEither  Silence = "either"  // what it would tell may make the figure smaller or larger
	SilenceCounted Silence = "counted" // the figure is about who answered, and exact
)

// silenceOf decides what a relay that did not answer does to a metric.
func silenceOf(m Metric) Silence {
	switch {
	case m.Name == "new_peers", m.Name == "session_length_seconds", m.Kind == KindCohorts:
		return SilenceEither
	case m.Name == "relay_overlap", strings.HasPrefix(m.Name, "peers_by_"):
		return SilenceWhole
	case m.Name == "relays_answering":
		return SilenceCounted
	}
	return SilenceLower
}

// LowerBound reports whether a figure of the metric, or a part of it, is at least so much
// where a relay did not answer. Where not, nothing follows from the figure but that it is
// without that relay.
func (m Metric) LowerBound(part bool) bool {
	return m.Silence == SilenceLower || m.Silence == SilenceWhole && !part
}

// meaning is what silence does in a sentence.
func (s Silence) meaning() string {
	switch s {
	case SilenceLower:
		return "the figure is at least so much: what it would tell can only add to it"
	case SilenceWhole:
		return "the sum is at least so much, but no single group is: a peer may belong to another one"
	case SilenceEither:
		return "the figure is without it and no bound: what it would tell may make it smaller or larger"
	case SilenceCounted:
		return "the figure is exact, and names it"
	}
	return string(s)
}
