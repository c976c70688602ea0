package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/relayfleet/fleetctl/relay"
)

// Exit codes, the same as fleetctl's.
const (
	exitOK          = 0
	exitError       = 1
	exitUnreachable = 4
	exitLocked      = 5
	exitInterrupted = 130
)

// errUnreachable marks an address that did not answer a ping.
var errUnreachable = errors.New("unreachable")

// exitCode prints an error with its hint and chooses the code.
func exitCode(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "relay: %v\n", err)
	var withHint *relay.HintError
	if errors.As(err, &withHint) {
		_, _ = fmt.Fprintf(stderr, "hint: %s\n", withHint.Hint)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errUnreachable):
		return exitUnreachable
	case errors.Is(err, relay.ErrLocked):
		return exitLocked
	default:
		return exitError
	}
}
