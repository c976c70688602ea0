package web

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Source is where everything that is shown comes from. It is safe for concurrent use.
type Source interface {
	// Look is the newest that is known of the fleet. It returns at once.
	Look() Look
	// Series reads a metric over time from what is kept. [ErrNoHistory] if nothing is.
	Series(ctx context.Context, q Query) ([]stats.Series, error)
	// Scrape reads /metrics of one relay on its box. The caller closes it. [ErrNoNode] if
	// the fleet has no such node.
	Scrape(ctx context.Context, node string) (io.ReadCloser, error)
}

// What a Source may answer.
var (
	ErrNoHistory = errors.New("no history is kept")
	ErrNoNode    = errors.New("the fleet has no such node")
	ErrQuery     = errors.New("the question cannot be answered") // wrapped, with what is wrong with it
)

// Look is a fleet at one time. Nobody changes the fleet of a look afterwards.
type Look struct {
	Fleet   Fleet
	Version uint64          // grows with each look of a source
	Next    <-chan struct{} // closed as soon as there is a newer one
}

// Query is a question for a metric over time.
type Query struct {
	Metric       string
	Since, Until time.Time
	Step         string // "1m", "15m", "1h", "1d", "1w"; "" is chosen by what keeps the history
	By           bool   // one series for each value that the metric is split by
}

// Board holds the newest look: the part of a [Source] that a page is made from. It is
// safe for concurrent use.
type Board struct {
	mu   sync.Mutex
	look Look
	next chan struct{}
}

// NewBoard begins with what is known before anything was read.
func NewBoard(first Fleet) *Board {
	next := make(chan struct{})
	return &Board{look: Look{Fleet: first, Version: 1, Next: next}, next: next}
}

// Look is the newest one.
func (b *Board) Look() Look {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.look
}

// Set replaces the look and tells who waits for the next one. The fleet must not be
// changed afterwards.
func (b *Board) Set(f Fleet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := b.next
	b.next = make(chan struct{})
	b.look = Look{Fleet: f, Version: b.look.Version + 1, Next: b.next}
	close(done)
}
