// Command serve runs the simulated Cloudflare as a process, so that any client in any
// language can be pointed at it, and any resolver at its name servers:
//
//	go run ./pkg/zone/cloudflare/cftest/serve -listen 127.0.0.1:8080 -dns 127.0.0.1:5300
//
// It listens on loopback only, says where in lines of its standard output when it is ready,
// and ends on SIGINT or SIGTERM. Nothing is kept from one run to the next.
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
