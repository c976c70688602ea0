package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/statedir"
)

// The exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitPending     = 2 // changes are pending; with --detailed-exitcode only
	exitPartial     = 3 // something worked and something did not
	exitUnverified  = 4 // verify or a health gate says no
	exitLocked      = 5 // another command holds the fleet
	exitRefused     = 6 // a guard says no, or --yes is needed
	exitAuth        = 7 // a credential is missing or wrong
	exitQuota       = 8 // a quota or a rate is used up
	exitInterrupted = 130
)

// precedence lists the codes, the one that wins first.
func precedence() []int {
	return []int{exitInterrupted, exitAuth, exitLocked, exitRefused, exitQuota, exitError, exitUnverified, exitPartial, exitPending}
}

// coded is an error that knows its exit code. With silent set nothing is printed:
// the result on stdout has said it all.
type coded struct {
	code   int
	silent bool
	error
}

func (c *coded) Unwrap() error { return c.error }

// withCode makes err end the process with code, unless an error within it has a code
// that goes before. A nil err stays nil.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code: code, error: err}
}

// silently ends the process with code and prints nothing.
func silently(code int) error {
	return &coded{code: code, silent: true, error: fmt.Errorf("exit %d", code)}
}

// silenced keeps the code of an error that the result on stdout has told already.
func silenced(err error) error {
	if err == nil {
		return nil
	}
	return silently(exitCode(err))
}

// nodeError says which node an error is about, for the JSON form. Its text is err's.
type nodeError struct {
	node string
	error
}

func (n *nodeError) Unwrap() error { return n.error }

// ofNode marks err as being about a node. A nil err stays nil.
func ofNode(node string, err error) error {
	if err == nil {
		return nil
	}
	return &nodeError{node: node, error: err}
}

// exit prints err and returns the exit code. Nothing else prints errors.
func (a *app) exit(ctx context.Context, args []string, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if interrupted(ctx) {
		code = exitInterrupted
		if len(printed(err)) > 0 {
			err = &interruption{err}
		}
	}
	all := printed(err)
	for i, one := range all {
		line := errorLine{Error: safeLines(one.Error()), Code: code, Hint: render.Safe(fleet.Hint(one)), Node: nodeOf(one)}
		if a.wantsJSON(args) {
			a.printJSON(line)
			continue
		}
		for text := range strings.Lines(line.Error) {
			a.wrapped("fleetctl: error: " + strings.TrimSuffix(text, "\n"))
		}
		last := i == len(all)-1 || fleet.Hint(all[i+1]) != fleet.Hint(one)
		if line.Hint != "" && last {
			a.wrapped("hint: " + line.Hint)
		}
	}
	return code
}

// wrapped writes a line to stderr, or several where the terminal is narrow.
func (a *app) wrapped(text string) {
	for _, line := range render.Wrap(text, a.columns(a.err)) {
		fmt.Fprintln(a.stderr, line)
	}
}

// interruption is the error of a command that the operator stopped.
type interruption struct{ error }

func (i *interruption) Unwrap() error { return i.error }

func (i *interruption) Error() string {
	if text := i.error.Error(); text != context.Canceled.Error() {
		return "interrupted: " + text
	}
	return "interrupted"
}

func (i *interruption) Hint() string {
	if hint := fleet.Hint(i.error); hint != "" {
		return hint
	}
	return "run the same command again: it goes on from what is there"
}

// wantsJSON reports whether errors are written as JSON, even if they are errors of the
// command line that came before -o was read.
func (a *app) wantsJSON(args []string) bool {
	if len(a.globals.output.given) > 0 {
		return a.globals.output.format == render.FormatJSON
	}
	for i, arg := range args {
		if arg == "--" {
			break
		}
		switch arg {
		case "--json", "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			return i+1 < len(args) && args[i+1] == string(render.FormatJSON)
		}
	}
	return a.getenv(envName("output")) == string(render.FormatJSON)
}

// safeLines makes every line of an error safe by itself.
func safeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = render.Safe(line)
	}
	return strings.Join(lines, "\n")
}

// exitCode is the code of err: of all codes found in its tree, the one that goes before.
func exitCode(err error) int {
	found := codes(err, true)
	for _, code := range precedence() {
		if slices.Contains(found, code) {
			return code
		}
	}
	if len(found) > 0 {
		return found[0] // of a remote command: it is none of ours
	}
	return exitError
}

// codes collects the codes in the tree of err. An error without one counts as
// exitError, unless an error around it has said otherwise.
func codes(err error, countLeaf bool) []int {
	var found []int
	if code, ok := ownCode(err); ok {
		found, countLeaf = append(found, code), false
	}
	switch e := err.(type) { //nolint:errorlint // walks the tree by hand
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = append(found, codes(one, countLeaf)...)
		}
		return found
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return append(found, codes(inner, countLeaf)...)
		}
	}
	if countLeaf {
		found = append(found, exitError)
	}
	return found
}

// ownCode is the code of err itself, whatever it wraps.
func ownCode(err error) (int, bool) {
	switch e := err.(type) { //nolint:errorlint // walks the tree by hand
	case *coded:
		return e.code, true
	case *fleet.Refusal:
		return exitRefused, true
	case *statedir.LockedError:
		return exitLocked, true
	case *fleet.Failure:
		// A health gate said no: the change was made and the relay did not pass.
		gate := e.Change.Action == fleet.ActionRestart || e.Change.Action == fleet.ActionWatch || e.Change.Action == fleet.ActionWait
		return exitUnverified, gate
	}
	return sentinelCode(err)
}

// sentinelCode is the code of an error that is one of the core's sentinels, or says so
// itself; whatever else it wraps is looked at elsewhere.
func sentinelCode(err error) (int, bool) {
	is := func(sentinel error) bool {
		e, says := err.(interface{ Is(error) bool })     //nolint:errorlint // of err itself
		return err == sentinel || says && e.Is(sentinel) //nolint:errorlint // likewise
	}
	switch {
	case is(fleet.ErrAuth), is(dnsaddr.ErrAuth):
		return exitAuth, true
	case is(fleet.ErrQuota), is(dnsaddr.ErrFull):
		return exitQuota, true
	case is(fleet.ErrOtherFleet):
		return exitRefused, true
	case is(dnsaddr.ErrNotSeen): // it was written, and what came of it is not what clients see
		return exitUnverified, true
	}
	return 0, false
}

// printed splits a joined error into the ones to print, without the silent ones.
func printed(err error) []error {
	switch e := err.(type) { //nolint:errorlint // walks the tree by hand
	case *coded:
		if e.silent {
			return nil
		}
		return printed(e.error)
	case interface{ Unwrap() []error }:
		if _, joined := err.(interface{ Is(error) bool }); joined { //nolint:errorlint // a type of its own, not a join
			return []error{err}
		}
		var all []error
		text := make([]string, 0, len(e.Unwrap()))
		for _, one := range e.Unwrap() {
			text = append(text, one.Error())
			all = append(all, printed(one)...)
		}
		if err.Error() != strings.Join(text, "\n") {
			return []error{err} // it has words of its own
		}
		return all
	}
	return []error{err}
}

// errorLine is an error as -o json prints it on stderr.
type errorLine struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
	Hint  string `json:"hint"`
	Node  string `json:"node"`
}

func (a *app) printJSON(line errorLine) {
	text, err := json.Marshal(line)
	if err != nil {
		text = []byte(`{"error":"unprintable"}`)
	}
	fmt.Fprintf(a.stderr, "%s\n", text)
}

// nodeOf is the node that err is about, "" if none or several.
func nodeOf(err error) string {
	var marked *nodeError
	if errors.As(err, &marked) {
		return marked.node
	}
	var failure *fleet.Failure
	if errors.As(err, &failure) {
		return failure.Change.Ref.Node
	}
	var refusal *fleet.Refusal
	if errors.As(err, &refusal) && len(refusal.Objections) == 1 {
		return refusal.Objections[0].Ref.Node
	}
	return ""
}
