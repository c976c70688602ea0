//go:build !unix

package main

import (
	"context"
	"errors"
)

// errNoKeeper: this system has no processes that can be kept as we do.
var errNoKeeper = errors.New("keep: only on Unix systems: this one has a service manager of its own")

func keepStart(context.Context, keepFlags) error { return errNoKeeper }
func keepStop(context.Context, keepFlags) error  { return errNoKeeper }
func keepWatch(context.Context, keepFlags) error { return errNoKeeper }
func keptStatus(keepFlags) (keepStatus, error)   { return keepStatus{}, errNoKeeper }
