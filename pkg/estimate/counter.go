package estimate

import (
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Counter counts different peers: exactly while there are fewer than [From] of them, and
// by an estimate from then on. Not safe for concurrent use.
type Counter struct {
	exact *stats.Peers // nil from so many on
	rough *Peers
	from  uint64
}

// NewCounter has counted nothing.
func NewCounter(salt Salt) *Counter {
	c := &Counter{exact: stats.NewPeers(nil), rough: New(salt), from: From}
	c.exact.Begin()
	return c
}

// Add takes in a peer, by [stats.Row.Key].
func (c *Counter) Add(key [32]byte) {
	c.rough.Add(key)
	if c.exact == nil {
		return
	}
	c.exact.Add(key, 0, 0)
	if uint64(c.exact.Len()) >= c.from {
		c.exact = nil
	}
}

// Figure is the count, see [Peers.Figure]; its error is 0 while it is exact.
func (c *Counter) Figure(missing []string, since time.Time) stats.Figure {
	f := c.rough.Figure(missing, since)
	if c.exact != nil {
		value := float64(c.exact.Len())
		f.Value, f.Error = &value, 0
	}
	return f
}
