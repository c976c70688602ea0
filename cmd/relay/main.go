// Command relay is the daemon on the boxes of a fleet: a libp2p relay with its own
// counts. See package relay for what it does and `relay help` for how to ask.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Set by the linker: -X main.version=… -X main.revision=….
var (
	version  = "devel"
	revision = ""
)

func main() {
	// The first signal ends the context; the next ones reach the command, so that it
	// can cut its grace short.
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hurry := make(chan struct{})
	go func() {
		<-signals
		cancel()
		<-signals
		close(hurry)
		<-signals
		os.Exit(exitInterrupted)
	}()
	a := &app{stdout: os.Stdout, stderr: os.Stderr, version: version, revision: revision, hurry: hurry}
	os.Exit(run(ctx, a, os.Args[1:]))
}
