package digitalocean

import (
	"context"
	"errors"
	"sync"
	"time"
)

// flight is a reading under way.
type flight[T any] struct {
	done  chan struct{}
	after uint64    // writes that were over when it began
	began time.Time // of a poller's; zero while it is put off
	value T
	err   error
}

// shared makes one reading for all who ask while it is under way, or for a while after.
// Whoever asks after a write of ours gets a reading that began after it.
type shared[T any] struct {
	fresh time.Duration // that a reading without error counts after it was made; 0 is not at all

	mu   sync.Mutex
	now  *flight[T]
	last *flight[T]
	at   time.Time // when the last one was over
}

// get reads, or waits for a reading that is under way.
func (s *shared[T]) get(ctx context.Context, writes func() uint64, read func(context.Context) (T, error)) (T, error) {
	return s.since(ctx, writes(), s.fresh, writes, read)
}

// since is get for one whom only the first so many writes concern: a reading that began
// after them will do, and for a while after it was made.
func (s *shared[T]) since(ctx context.Context, need uint64, fresh time.Duration, writes func() uint64, read func(context.Context) (T, error)) (T, error) {
	for {
		s.mu.Lock()
		last := s.last
		if last != nil && last.after >= need && time.Since(s.at) < fresh && ctx.Err() == nil {
			s.mu.Unlock()
			return last.value, nil
		}
		f := s.now
		if f == nil || f.after < need {
			f = &flight[T]{done: make(chan struct{}), after: writes()}
			s.now = f
			s.mu.Unlock()
			f.value, f.err = read(ctx)
			s.mu.Lock()
			if s.now == f {
				s.now = nil
			}
			if f.err == nil {
				s.last, s.at = f, time.Now()
			}
			s.mu.Unlock()
			close(f.done)
			return f.value, f.err
		}
		s.mu.Unlock()
		if value, err, over := f.wait(ctx); over {
			return value, err
		}
	}
}

// wait returns a flight's result. It is not over if its reader gave up and we did not.
func (f *flight[T]) wait(ctx context.Context) (T, error, bool) { //nolint:revive // over is no part of the result
	var zero T
	select {
	case <-ctx.Done():
		return zero, ctx.Err(), true
	case <-f.done:
	}
	if ended(f.err) && ctx.Err() == nil {
		return zero, nil, false
	}
	return f.value, f.err, true
}

func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// poller makes readings for all who wait for something, one after the other and at least
// an interval apart.
type poller[T any] struct {
	mu    sync.Mutex
	now   *flight[T]
	last  *flight[T] // the last one without an error
	began time.Time  // when the last one began, whatever came of it
}

// next returns a reading that began after newer, and when it began: the last one, or one
// that begins as soon as the interval allows. Whoever passes the time that it got sees each
// reading once.
func (p *poller[T]) next(ctx context.Context, every time.Duration, newer time.Time, read func(context.Context) (T, error)) (T, time.Time, error) {
	for {
		p.mu.Lock()
		if last := p.last; last != nil && last.began.After(newer) && ctx.Err() == nil {
			p.mu.Unlock()
			return last.value, last.began, nil
		}
		f := p.now
		if f == nil {
			f = &flight[T]{done: make(chan struct{})}
			p.now = f
			due := p.began.Add(every)
			p.mu.Unlock()
			if f.err = pause(ctx, time.Until(due)); f.err == nil {
				p.begin(f)
				f.value, f.err = read(ctx)
			}
			p.land(f)
			return f.value, f.began, f.err
		}
		early := !f.began.IsZero() && !f.began.After(newer)
		p.mu.Unlock()
		if value, err, over := f.wait(ctx); over && (!early || ctx.Err() != nil) {
			return value, f.began, err
		}
	}
}

// begin notes that a reading begins now.
func (p *poller[T]) begin(f *flight[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.began = time.Now()
	p.began = f.began
}

// land notes that a reading is over, and tells those who wait for it.
func (p *poller[T]) land(f *flight[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = nil
	if f.err == nil {
		p.last = f
	}
	close(f.done)
}

// keyed lets one at a time through for each key.
type keyed struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock returns what unlocks the key.
func (k *keyed) lock(ctx context.Context, key string) (func(), error) {
	for {
		k.mu.Lock()
		if k.held == nil {
			k.held = make(map[string]chan struct{})
		}
		busy, taken := k.held[key]
		if !taken {
			mine := make(chan struct{})
			k.held[key] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-busy:
		}
	}
}
