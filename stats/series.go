package stats

import "time"

// Series is one metric over time.
type Series struct {
	Metric string        `json:"metric"` // a name of [Metrics]
	Label  string        `json:"label"`  // the part of a split metric: a tier, a region, "" for the whole
	Unit   string        `json:"unit"`
	Step   time.Duration `json:"-"` // between points; a calendar day or week may be an hour longer or shorter
	Points []Point       `json:"points"`
}

// Point is a figure for the time from At to the next point.
type Point struct {
	At time.Time `json:"at"`
	Figure
}

// Figure is a number with what has to be said about it. A nil Value is unknown, never 0.
type Figure struct {
	Value *float64 `json:"value"`
	// AtLeast says that the truth may be larger, and not smaller: somebody did not answer, or
	// counters were first read within the step, and nobody knows what they had counted in it
	// before. It is false where that is no bound (see [Metric.LowerBound]): Missing alone says then that
	// the figure is not all there.
	AtLeast bool     `json:"at_least"`
	Missing []string `json:"missing"` // the nodes that did not answer, sorted; never nil
	// Since is from when the data is that the figure was made of.
	Since Time `json:"since"`
	// Error is the relative standard error of an estimate, 0.008 for 0.8 %; 0 is exact.
	Error float64 `json:"error"`
	// Blurred says that the figure is made of whole hours or days of UTC, and that a border of
	// its step cuts one: what was counted near it may stand on its other side.
	Blurred bool `json:"blurred"`
}

// Exact reports whether the value was counted and not estimated.
func (f Figure) Exact() bool { return f.Error == 0 }

// EitherWay reports whether somebody's part is missing, and the figure is no bound.
func (f Figure) EitherWay() bool { return f.Value != nil && !f.AtLeast && len(f.Missing) > 0 }

// Metric is the definition of one figure.
type Metric struct {
	Name       string // "lifetime_unique_peers"
	Alias      string // a shorter name for it, "lifetime"; "" if it has none
	Unit       string // "peers", "bytes", "seconds", "1"
	Title      string // "Peers ever seen", for a chart's head
	Kind       Kind
	By         string // what it is split by: "tier", "region", …; "" is not split
	Definition string // what exactly is counted, in whole sentences
	Source     string // where the numbers come from
	Limits     string // what it cannot say
	Silence    Silence
}

// Kind says how a metric behaves over time.
type Kind string

// The kinds of metrics.
const (
	KindTotal   Kind = "total"   // never falls
	KindPeriod  Kind = "period"  // counted within each step
	KindMoment  Kind = "moment"  // a state, sampled
	KindCohorts Kind = "cohorts" // a table by week
)
