package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

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
	line, err := a.answer(ctx, prompt, a.readLine)
	return strings.TrimSpace(line), err
}

// askSecret reads one line that the terminal does not show.
func (a *app) askSecret(ctx context.Context, prompt string) (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok {
		return a.answer(ctx, prompt, a.readLine)
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	line, err := a.answer(ctx, prompt, func() (string, error) {
		secret, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
		return string(secret), err
	})
	if err != nil {
		err = errors.Join(err, term.Restore(int(f.Fd()), before)) // a read that was left hides what is typed
	}
	return line, err
}

// readLine reads a line byte by byte: what stands behind it is left for the next question.
func (a *app) readLine() (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < longestAnswer {
		n, err := a.stdin.Read(one)
		if n == 1 && one[0] == '\n' || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		line = append(line, one[:n]...)
	}
	return strings.TrimRight(string(line), "\r"), nil
}

// longestAnswer is how many bytes of an answer are read.
const longestAnswer = 1024

// answer asks and waits for what read returns, or for the end of ctx.
func (a *app) answer(ctx context.Context, prompt string, read func() (string, error)) (string, error) {
	fmt.Fprint(a.stderr, prompt)
	type reply struct {
		line string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := read()
		replies <- reply{line, err}
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
