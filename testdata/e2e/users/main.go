// Command users connects clients to relays until it is told to stop: users N ADDRESS...
// gives N users to the first relay, N/2 to the second, N/3 to the third, and so on. It
// prints "ready" when all are connected.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: users N ADDRESS")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(8)
	for i, address := range args[1:] {
		relay, err := peer.AddrInfoFromString(address)
		if err != nil {
			return err
		}
		for range n / (i + 1) {
			group.Go(func() error { return user(limit, *relay) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

// user is one client. It stays connected as long as the process lives.
func user(ctx context.Context, relay peer.AddrInfo) error {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.UserAgent("users/1.0/edge"))
	if err != nil {
		return err
	}
	if err := h.Connect(ctx, relay); err != nil {
		return err
	}
	h.ConnManager().Protect(relay.ID, "user")
	return nil
}
