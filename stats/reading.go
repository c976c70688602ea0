package stats

// Reading is what was learned of one relay. Every part may be missing: unknown is nil,
// and partial failure is data.
type Reading struct {
	Node     string // "nyc1-1"
	Region   string // "nyc1"
	PeerID   string // who the relay should be, where known otherwise (from DNS, from the box); "" if not
	Report   *Report
	Census   *Census
	Registry []CensusEntry // nil: not read; empty: it has met nobody
	Err      error         // the first reason why a part is missing
	Warnings []string      // what the operator should know beside it: "registry: entry 7: …"
}
