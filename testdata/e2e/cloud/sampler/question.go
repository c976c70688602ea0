package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

// questions asks each relay one thing at a time: a relay lets one peer have a few streams of
// a kind, and one that is slow for a moment would refuse the next. The zero value is ready.
type questions struct {
	mu   sync.Mutex
	open map[peer.ID]*question
}

// question is one that was asked.
type question struct {
	done chan struct{}
	err  error
}

// answer waits until the relay has answered, or will not in time, which is an error.
func (q *question) answer() error {
	<-q.done
	return q.err
}

// ask asks a relay, or returns the question that it has not answered yet.
func (a *questions) ask(ctx context.Context, h host.Host, at peer.AddrInfo) *question {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.open[at.ID]; q != nil {
		return q
	}
	if a.open == nil {
		a.open = make(map[peer.ID]*question)
	}
	q := &question{done: make(chan struct{})}
	a.open[at.ID] = q
	// Others wait for it, too: it outlives whoever asked first, and has the same patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	go func() {
		defer cancel()
		q.err = answers(ctx, h, at)
		a.mu.Lock()
		delete(a.open, at.ID)
		a.mu.Unlock()
		close(q.done)
	}()
	return q
}

// answers is nil if the relay, and no other peer, answers a ping in time.
func answers(ctx context.Context, h host.Host, at peer.AddrInfo) error {
	if err := connect(ctx, h, at); err != nil {
		return fmt.Errorf("%s: %w", at.ID, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case result := <-ping.Ping(ctx, h, at.ID):
		if result.Error != nil {
			return fmt.Errorf("%s: ping: %w", at.ID, result.Error)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: ping: %w", at.ID, ctx.Err())
	}
}
