package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if interrupted(ctx) {
		code = exitInterrupted
	}
	for _, one := range printed(err) {
		a.printError(one, code)
	}
	return code
}

// exitCode is the code of err: of all codes found in its tree, the one that goes before.
func exitCode(err error) int {
	found := codes(err, true)
	for _, code := range precedence() {
		if slices.Contains(found, code) {
			return code
		}
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

func (a *app) printError(err error, code int) {
	line := errorLine{Error: render.Safe(err.Error()), Code: code, Hint: render.Safe(fleet.Hint(err)), Node: nodeOf(err)}
	if a.globals.output.format == render.FormatJSON {
		if text, err := json.Marshal(line); err == nil {
			fmt.Fprintf(a.stderr, "%s\n", text)
			return
		}
	}
	fmt.Fprintf(a.stderr, "fleetctl: error: %s\n", line.Error)
	if line.Hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", line.Hint)
	}
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
