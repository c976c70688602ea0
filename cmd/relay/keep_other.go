//go:build !unix

package main

import "context"

func keepStart(context.Context, keepFlags) error { return errNoKeeper }
func keepStop(context.Context, keepFlags) error  { return errNoKeeper }
func keepWatch(context.Context, keepFlags) error { return errNoKeeper }
func keptStatus(keepFlags) (keepStatus, error)   { return keepStatus{}, errNoKeeper }
