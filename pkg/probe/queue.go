package probe

import (
	"context"
	"sync"
)

// queue bounds the probes that run at once: all of them, and those of one relay.
type queue struct {
	all  chan struct{}
	each int

	mu     sync.Mutex
	relays map[string]*lane // by peer ID; only those with probes running or waiting
}

type lane struct {
	slots chan struct{}
	users int
}

func newQueue(all, each int) *queue {
	return &queue{all: make(chan struct{}, all), each: each, relays: make(map[string]*lane)}
}

// enter waits for a turn. The caller calls leave once. A probe waits for its relay
// first: one relay with many addresses does not keep the others waiting.
func (q *queue) enter(ctx context.Context, relay string) (leave func(), err error) {
	q.mu.Lock()
	l := q.relays[relay]
	if l == nil {
		l = &lane{slots: make(chan struct{}, q.each)}
		q.relays[relay] = l
	}
	l.users++
	q.mu.Unlock()
	if err := wait(ctx, l.slots); err != nil {
		q.forget(relay, l)
		return nil, err
	}
	if err := wait(ctx, q.all); err != nil {
		<-l.slots
		q.forget(relay, l)
		return nil, err
	}
	return func() {
		<-q.all
		<-l.slots
		q.forget(relay, l)
	}, nil
}

func (q *queue) forget(relay string, l *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(q.relays, relay)
	}
}

func wait(ctx context.Context, slots chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
