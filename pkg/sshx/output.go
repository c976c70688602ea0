package sshx

import (
	"bytes"
	"io"
	"sync"
)

// bounded keeps the first limit bytes and drops the rest.
type bounded struct {
	buf     bytes.Buffer
	limit   int
	dropped bool
}

// Write never fails, so that a talkative command can end.
func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.limit-b.buf.Len())
	b.buf.Write(p[:keep])
	b.dropped = b.dropped || keep < len(p)
	return len(p), nil
}

// gate passes writes on until it is shut. What comes later is dropped, and a failure
// of the writer behind it is kept and told.
type gate struct {
	mu   sync.Mutex
	to   io.Writer // nil when shut
	err  error
	tell func(error)
}

func newGate(to io.Writer, tell func(error)) *gate {
	if to == nil {
		to = io.Discard
	}
	return &gate{to: to, tell: tell}
}

// Write never fails: the far side is drained to its end.
func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to == nil {
		return len(p), nil
	}
	if _, err := g.to.Write(p); err != nil {
		g.to, g.err = nil, err
		g.tell(err)
	}
	return len(p), nil
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = nil
}

func (g *gate) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
