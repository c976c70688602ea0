package main

import (
	"context"
	"time"
)

// rhythm is how often something is read.
type rhythm struct {
	pause time.Duration   // after one reading until the next
	rest  time.Duration   // what of it passes even if the next is asked for
	again <-chan struct{} // asks for the next one; nil: nobody does
}

// repeat calls f at once and then again and again, until ctx ends.
func (r rhythm) repeat(ctx context.Context, f func()) error {
	for ctx.Err() == nil {
		f()
		wait(ctx, r.rest, nil)
		wait(ctx, r.pause-r.rest, r.again)
	}
	return ctx.Err()
}

// wait returns after so long, as soon as somebody asks, or when ctx ends.
func wait(ctx context.Context, long time.Duration, asked <-chan struct{}) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-asked:
	}
}
