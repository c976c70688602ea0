// Command fleetctl runs a fleet of libp2p relays: it creates the machines, installs
// the relay on them, publishes where they are, proves that the published set works,
// and says who uses it.
//
// One file per command. [run] is all of main that can be tested; an [app] is
// everything that a command may touch of the process it runs in.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// main turns the first SIGINT or SIGTERM into a cancelled context, and the second
// into an exit at once.
func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "fleetctl: stopping; once more stops at once")
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, processApp(), os.Args[1:]))
}
