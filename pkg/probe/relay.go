package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/fleet"
)

// echoProtocol is spoken between our two hosts, inside the circuit.
const echoProtocol = "/relayfleet/probe-echo/1.0.0"

// echoBytes go through the relay and come back. Circuits of stock relays carry 128 KiB.
const echoBytes = 1024

// relay passes bytes from the far host through the relay to the near one and back.
func (r *run) relay(ctx context.Context) error {
	r.near.SetStreamHandler(echoProtocol, func(s network.Stream) {
		defer func() { _ = s.Close() }()
		if deadline, ok := ctx.Deadline(); ok {
			_ = s.SetDeadline(deadline)
		}
		_, _ = io.CopyN(s, s, echoBytes) // the far host compares
	})
	stop := hangUp(ctx, r.far, r.id)
	defer stop()
	// The circuit goes over whatever connection to the relay there is: first make the
	// one that is to be proven.
	if _, err := dial(ctx, r.far, r.id, r.addr); err != nil {
		return inTime(ctx, fmt.Errorf("dial from the second host: %w", dialError(err)))
	}
	return inTime(ctx, r.echo(network.WithAllowLimitedConn(ctx, "probe")))
}

func (r *run) echo(ctx context.Context) error {
	via, err := ma.NewMultiaddr(r.addr.String() + "/p2p/" + r.id.String() + "/p2p-circuit")
	if err != nil {
		return fmt.Errorf("circuit address: %w", err)
	}
	if err := r.far.Connect(ctx, peer.AddrInfo{ID: r.near.ID(), Addrs: []ma.Multiaddr{via}}); err != nil {
		return fmt.Errorf("open a circuit: %w", err)
	}
	s, err := r.far.NewStream(ctx, r.near.ID(), echoProtocol)
	if err != nil {
		return fmt.Errorf("open a stream through the circuit: %w", err)
	}
	defer func() { _ = s.Reset() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.SetDeadline(deadline); err != nil {
			return fmt.Errorf("set a deadline: %w", err)
		}
	}
	sent, back := make([]byte, echoBytes), make([]byte, echoBytes)
	_, _ = rand.Read(sent) // it never fails
	if _, err := s.Write(sent); err != nil {
		return fmt.Errorf("send through the circuit: %w", err)
	}
	if _, err := io.ReadFull(s, back); err != nil {
		return fmt.Errorf("receive through the circuit: %w", err)
	}
	if !bytes.Equal(sent, back) {
		return errors.New("other bytes came back through the circuit")
	}
	return nil
}

// refusedError is go-libp2p's error in fewer words: its own text prints a nil.
type refusedError struct{ said client.ReservationError }

func (e refusedError) Unwrap() error { return e.said }

func (e refusedError) Error() string {
	if cause := e.said.Unwrap(); cause != nil {
		return cause.Error()
	}
	if e.said.Status == pbv2.Status_MALFORMED_MESSAGE {
		return e.said.Reason
	}
	return fmt.Sprintf("refused with %s (%d)", e.said.Status, e.said.Status)
}

// refusal is what a failed reservation means: 200 and 201 no room, 202 no wish, all
// else no relay.
func refusal(err error) fleet.Verdict {
	var refused client.ReservationError
	if !errors.As(err, &refused) {
		return fleet.NotServing
	}
	switch refused.Status {
	case pbv2.Status_RESERVATION_REFUSED, pbv2.Status_RESOURCE_LIMIT_EXCEEDED:
		return fleet.Full
	case pbv2.Status_PERMISSION_DENIED:
		return fleet.Draining
	default:
		return fleet.NotServing
	}
}

// circuitRefusal is likewise for a circuit. go-libp2p has no type for that error; the
// text is its own, made from the number that the relay sent.
func circuitRefusal(err error) fleet.Verdict {
	said := func(status pbv2.Status) bool {
		return strings.Contains(err.Error(), fmt.Sprintf("error opening relay circuit: %s (%d)", status, status))
	}
	switch {
	case said(pbv2.Status_RESOURCE_LIMIT_EXCEEDED):
		return fleet.Full
	case said(pbv2.Status_PERMISSION_DENIED):
		return fleet.Draining
	default:
		return fleet.NotServing
	}
}

// maxError bounds the error of a step, in characters.
const maxError = 300

// oneLine makes an error fit for a line: what a relay says is part of it.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), 8*maxError)], "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return r
		}
		return -1
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxError {
		return string(runes[:maxError-1]) + "…"
	}
	return text
}
