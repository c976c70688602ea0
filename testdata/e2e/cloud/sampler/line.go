package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// echoProtocol is spoken inside the circuit.
const echoProtocol = "/relayfleet/e2e-echo/1.0.0"

const word = 32 // bytes of one echo

// echo gives every byte back.
func echo(s network.Stream) {
	defer func() { _ = s.Close() }()
	_, _ = io.Copy(s, s) // the other end compares
}

// line is a stream through a circuit. The zero value is none.
type line struct {
	mu     sync.Mutex
	stream network.Stream // nil: none, or broken
	opened int
}

// open makes a circuit from far through a relay to near, and a stream in it.
func (l *line) open(ctx context.Context, far host.Host, near, relay peer.ID, addrs []ma.Multiaddr) error {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, "e2e"), 5*time.Second)
	defer cancel()
	_ = far.Network().ClosePeer(near) // an old circuit, which is broken
	if err := connect(ctx, far, peer.AddrInfo{ID: relay, Addrs: addrs}); err != nil {
		return err
	}
	via, err := ma.NewMultiaddr("/p2p/" + relay.String() + "/p2p-circuit")
	if err != nil {
		return err
	}
	far.Peerstore().ClearAddrs(near)
	if err := connect(ctx, far, peer.AddrInfo{ID: near, Addrs: []ma.Multiaddr{via}}); err != nil {
		return fmt.Errorf("circuit through %s: %w", relay, err)
	}
	s, err := far.NewStream(ctx, near, echoProtocol)
	if err != nil {
		return fmt.Errorf("stream through %s: %w", relay, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = s
	l.opened++
	return nil
}

// echo sends a word and reports whether it came back. A line on which it did not is
// broken for good.
func (l *line) echo(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream == nil {
		return false
	}
	deadline, _ := ctx.Deadline()
	sent, back := make([]byte, word), make([]byte, word)
	_, _ = rand.Read(sent) // it never fails
	err := l.stream.SetDeadline(deadline)
	if err == nil {
		_, err = l.stream.Write(sent)
	}
	if err == nil {
		_, err = io.ReadFull(l.stream, back)
	}
	if err == nil && bytes.Equal(sent, back) {
		return true
	}
	_ = l.stream.Reset()
	l.stream = nil
	return false
}

// talk sends words until ctx ends, and says how many came back and how long none did.
func (l *line) talk(ctx context.Context) (sent, back int, gap time.Duration) {
	last := time.Now()
	every(ctx, tick, func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		sent++
		if l.echo(ctx) {
			back++
			last = time.Now()
		}
		gap = max(gap, time.Since(last))
	})
	return sent, back, gap
}

func (l *line) works() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stream != nil
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		_ = l.stream.Reset()
		l.stream = nil
	}
}
