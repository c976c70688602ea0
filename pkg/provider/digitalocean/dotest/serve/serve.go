package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// grace is how long the boxes have to go away.
const grace = 30 * time.Second

// settings are what the command line says.
type settings struct {
	listen  netip.AddrPort
	tokens  []string
	limit   int
	boxes   string
	exec    string
	dir     string
	boot    time.Duration
	delete  time.Duration
	noRates bool
}

// run is the command; its result is the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = serve(ctx, s, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	}
	if err != nil {
		fmt.Fprintf(stderr, "serve: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:0", "loopback `address` with port; port 0 is any that is free")
	flags.Func("token", "`token` of an account, a made-up one; may be repeated (default \""+dotest.DefaultToken+"\")", func(t string) error {
		if t == "" {
			return errors.New("it is empty")
		}
		s.tokens = append(s.tokens, t)
		return nil
	})
	flags.IntVar(&s.limit, "limit", 0, "droplet limit of each account; 0 is 25")
	flags.StringVar(&s.boxes, "boxes", "none", "what is behind the droplets: "+strings.Join(kindNames(), " or "))
	flags.StringVar(&s.exec, "exec", "", "`command` of -boxes exec")
	flags.StringVar(&s.dir, "dir", "", "`directory` of the boxes' files; empty is a temporary one")
	flags.DurationVar(&s.boot, "boot", 0, "at least so long from a create until the droplet is active")
	flags.DurationVar(&s.delete, "delete", 0, "at least so long from a delete until the droplet is gone")
	flags.BoolVar(&s.noRates, "no-rate-limits", false, "answer any number of requests")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("argument %q: there are only flags", flags.Arg(0))
	}
	at, err := netip.ParseAddrPort(*listen)
	if err != nil {
		return s, fmt.Errorf("-listen %s: want an address and a port such as 127.0.0.1:8080", *listen)
	}
	if !at.Addr().IsLoopback() {
		return s, fmt.Errorf("-listen %s: not a loopback address: nothing but this computer may reach the simulated cloud", *listen)
	}
	s.listen = at
	return s, nil
}

// serve runs the cloud until ctx ends, then destroys its boxes.
func serve(ctx context.Context, s settings, stdout io.Writer, log *slog.Logger) (err error) {
	boxes, remove, err := open(s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	cfg := dotest.Config{Boxes: boxes, Log: log, Boot: dotest.Lag{Wait: s.boot}, Delete: dotest.Lag{Wait: s.delete}}
	if s.noRates {
		cfg.Limits = dotest.NoLimits()
	}
	if len(s.tokens) == 0 {
		s.tokens = []string{dotest.DefaultToken}
	}
	for i, t := range slices.Compact(slices.Sorted(slices.Values(s.tokens))) {
		cfg.Accounts = append(cfg.Accounts, dotest.Account{Token: t, DropletLimit: s.limit, Team: fmt.Sprintf("team %d", i+1)})
	}
	cloud := dotest.New(cfg)
	listener, err := net.Listen("tcp", s.listen.String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: cloud.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err = errors.Join(err, cloud.Close(ending), server.Shutdown(ending))
	for _, v := range cloud.Violations() {
		log.WarnContext(ending, "violation", slog.String("what", v))
	}
	return err
}
