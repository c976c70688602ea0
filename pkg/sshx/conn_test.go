package sshx

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What x/crypto/ssh forgets to answer when a connection ends must not keep Close waiting.
func TestConn_WorkThatNobodyAnswersEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{links: map[route]*link{}}
		k := &conn{client: c, done: make(chan struct{})}
		forgotten := make(chan struct{})
		defer close(forgotten)
		ended := make(chan error, 1)
		go func() { ended <- k.do(t.Context(), func() error { <-forgotten; return nil }, nil) }()
		synctest.Wait()
		lost := errors.New("connection lost")
		k.cause = lost
		close(k.done)
		if err := <-ended; !errors.Is(err, lost) {
			t.Errorf("got %v, want %v", err, lost)
		}
		begin := time.Now()
		if err := c.Close(); err != nil || time.Since(begin) > 0 {
			t.Errorf("Close: got %v after %s, want nil at once", err, time.Since(begin))
		}
	})
}

// Who gives up does not wait for the connection.
func TestConn_WorkIsGivenUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{links: map[route]*link{}}
		k := &conn{client: c, done: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		stopped := make(chan struct{})
		err := k.do(ctx, func() error { <-stopped; return nil }, func() { close(stopped) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
