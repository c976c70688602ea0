// Package credential reads what a fleet.yaml points to and never holds: API tokens and keys.
package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/relayfleet/fleetctl/fleet"
)

// Source finds a secret. From says in words where it comes from, for errors, also where
// it could not be had; the value is never in an error.
type Source func(ctx context.Context) (value, from string, err error)

// Bounds of what a secret's source may say, and how long it may take.
const (
	most    = 4096 // bytes
	timeout = 30 * time.Second
)

// From is the secret of a spec: an environment variable, a file that nobody else may
// read, or what a program prints. Where the spec says nothing, the variables are looked
// at in their order. White space around it is cut off. path makes the file's name absolute.
// Each error says from where the secret was to come.
func From(s fleet.SecretSpec, variables []string, env, path func(string) string) Source {
	return func(ctx context.Context) (string, string, error) {
		read, from := readEnv(env, variables), strings.Join(variables, " or ")
		switch {
		case s.Env != "":
			read, from = readEnv(env, []string{s.Env}), s.Env
		case s.File != "":
			read, from = readFile(path(s.File)), "file "+path(s.File)
		case len(s.Command) > 0:
			read, from = readCommand(s.Command), "command "+s.Command[0]
		}
		value, exact, err := read(ctx)
		if exact != "" {
			from = exact
		}
		if err == nil {
			value, err = tidy(value)
		}
		if err != nil {
			return "", from, fmt.Errorf("from %s: %w", from, err)
		}
		return value, from, nil
	}
}

// reader reads a secret. It may name its source more exactly.
type reader func(ctx context.Context) (value, source string, err error)

func readEnv(env func(string) string, names []string) reader {
	return func(context.Context) (string, string, error) {
		for _, name := range names {
			if v := env(name); strings.TrimSpace(v) != "" {
				return v, name, nil
			}
		}
		return "", "", errors.New("not set")
	}
}

func readFile(path string) reader {
	return func(context.Context) (string, string, error) {
		if at, err := os.Stat(path); err == nil && !at.Mode().IsRegular() {
			return "", "", errors.New("not a file") // to open a pipe waits for who writes to it
		}
		f, err := os.Open(path) //nolint:gosec // the operator's file
		if err != nil {
			return "", "", errors.Unwrap(err)
		}
		defer func() { _ = f.Close() }() // it was only read
		info, err := f.Stat()
		switch {
		case err != nil:
			return "", "", err
		case !info.Mode().IsRegular():
			return "", "", errors.New("not a file")
		case info.Mode().Perm()&0o077 != 0:
			return "", "", fmt.Errorf("its mode is %04o: want 0600, so that nobody else can read it", info.Mode().Perm())
		}
		text, err := io.ReadAll(io.LimitReader(f, most+1))
		return string(text), "", err
	}
}

func readCommand(argv []string) reader {
	return func(ctx context.Context) (string, string, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var out bounded
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's command
		cmd.Stdout = &out                                     // what it says beside that may hold the secret, and is nobody's to repeat
		cmd.WaitDelay = time.Second                           // a child of it may hold the pipes
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return "", "", context.Cause(ctx)
		case err != nil:
			return "", "", fleet.WithHint(err, "run the command by hand to see what it says: that is not repeated here, for it may hold the secret")
		}
		return out.String(), "", nil
	}
}

// bounded keeps the first bytes that are written, and takes the rest without a word.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := most + 1 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// tidy cuts white space off a secret, and refuses what cannot be one.
func tidy(value string) (string, error) {
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return "", errors.New("empty")
	case len(value) > most:
		return "", fmt.Errorf("more than %d bytes", most)
	case strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return "", errors.New("not one word of printable ASCII")
	}
	return value, nil
}
