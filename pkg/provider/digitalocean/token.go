package digitalocean

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

// Token finds the API token. Source says in words where it comes from, for errors, also
// where it could not be had; the value is never in an error.
type Token func(ctx context.Context) (value, source string, err error)

// Bounds of what a token's source may say, and how long it may take.
const (
	tokenMost    = 4096 // bytes
	tokenTimeout = 30 * time.Second
)

// tokenVariables are looked at, in this order, where the spec does not say where the
// token is.
func tokenVariables() []string {
	return []string{"DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"}
}

// TokenFrom is the token of a spec: an environment variable, a file that nobody else may
// read, or what a program prints. White space around it is cut off. path makes the file's
// name absolute. Whatever is missing is [fleet.ErrAuth].
func TokenFrom(s fleet.SecretSpec, env, path func(string) string) Token {
	return func(ctx context.Context) (string, string, error) {
		read, source := readEnv(env, tokenVariables()), strings.Join(tokenVariables(), " or ")
		switch {
		case s.Env != "":
			read, source = readEnv(env, []string{s.Env}), s.Env
		case s.File != "":
			read, source = readFile(path(s.File)), "file "+path(s.File)
		case len(s.Command) > 0:
			read, source = readCommand(s.Command), "command "+s.Command[0]
		}
		value, exact, err := read(ctx)
		if exact != "" {
			source = exact
		}
		if err == nil {
			value, err = tidy(value)
		}
		if err != nil {
			return "", source, fleet.WithHint(fmt.Errorf("%w: API token from %s: %w", fleet.ErrAuth, source, err),
				"make a token at DigitalOcean and set DIGITALOCEAN_TOKEN, or say with digitalocean.token where it is")
		}
		return value, source, nil
	}
}

// reader reads a token. It may name its source more exactly.
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
		text, err := io.ReadAll(io.LimitReader(f, tokenMost+1))
		return string(text), "", err
	}
}

func readCommand(argv []string) reader {
	return func(ctx context.Context) (string, string, error) {
		ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
		defer cancel()
		var out, problem bounded
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's command
		cmd.Stdout, cmd.Stderr = &out, &problem
		cmd.WaitDelay = time.Second // a child of it may hold the pipes
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return "", "", context.Cause(ctx)
		case err != nil:
			return "", "", fmt.Errorf("%w: %s", err, clean(problem.String()))
		}
		return out.String(), "", nil
	}
}

// bounded keeps the first bytes that are written, and takes the rest without a word.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := tokenMost + 1 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// tidy cuts white space off a token, and refuses what cannot be one.
func tidy(value string) (string, error) {
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return "", errors.New("empty")
	case len(value) > tokenMost:
		return "", fmt.Errorf("more than %d bytes", tokenMost)
	case strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return "", errors.New("not one word of printable ASCII")
	}
	return value, nil
}
