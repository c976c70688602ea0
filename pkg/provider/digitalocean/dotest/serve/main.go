// Command serve runs the simulated DigitalOcean as a process, so that any client in any
// language can be pointed at it:
//
//	go run ./pkg/provider/digitalocean/dotest/serve -listen 127.0.0.1:8080
//
// It listens on loopback only, prints one line when it is ready, and ends on SIGINT or
// SIGTERM having destroyed its boxes. Nothing is kept from one run to the next.
//
// With -boxes local every droplet is a machine in this process, on a loopback address of
// its own: see package box (Linux).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
