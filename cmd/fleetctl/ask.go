package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// confirm asks a question that --yes answers. It asks on a terminal only; elsewhere,
// and when the answer is not yes, it refuses with exit code 6.
func (a *app) confirm(ctx context.Context, question string) error {
	if a.globals.yes {
		return nil
	}
	if a.globals.noInput || !a.in.terminal || !a.err.terminal {
		err := errors.New("not confirmed, and there is no terminal to ask on")
		if a.globals.noInput {
			err = errors.New("not confirmed, and --no-input forbids to ask")
		}
		return withCode(exitRefused, fleet.WithHint(err, "look at the plan, then run the same command with --yes"))
	}
	answer, err := a.ask(ctx, "\n"+question+" [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	}
	return withCode(exitRefused, errors.New("not confirmed: nothing was changed"))
}

// ask reads one line. It returns early when ctx is cancelled; the pending read is
// left to the end of the process.
func (a *app) ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(a.stderr, prompt)
	type reply struct {
		line string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, 1024)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		replies <- reply{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return "", context.Cause(ctx)
	case r := <-replies:
		if r.err != nil {
			return "", fmt.Errorf("read the answer: %w", r.err)
		}
		return r.line, nil
	}
}
