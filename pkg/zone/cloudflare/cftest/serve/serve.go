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
	"time"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// grace is how long requests under way have.
const grace = 10 * time.Second

// settings are what the command line says.
type settings struct {
	listen  string
	dns     []string
	zones   []string
	tokens  []string
	plan    cftest.Plan
	delay   time.Duration
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

// plans by the names that the command line has for them.
func plans() map[string]cftest.Plan {
	all := map[string]cftest.Plan{}
	for _, p := range []cftest.Plan{cftest.Free, cftest.Pro, cftest.Business, cftest.Enterprise} {
		all[p.String()] = p
	}
	return all
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{listen: "127.0.0.1:0"}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	several := func(name, usage string, into *[]string) {
		flags.Func(name, usage, func(value string) error {
			if value == "" {
				return errors.New("it is empty")
			}
			*into = append(*into, value)
			return nil
		})
	}
	flags.StringVar(&s.listen, "listen", s.listen, "loopback `address` with port of the API; port 0 is any that is free")
	several("dns", "loopback `address` with port of a name server; may be repeated (default \"127.0.0.1:0\")", &s.dns)
	several("zone", "`name` of a zone; may be repeated (default \""+cftest.DefaultZone+"\")", &s.zones)
	several("token", "`token` with every right in every zone, a made-up one; may be repeated (default \""+cftest.DefaultToken+"\")", &s.tokens)
	flags.Func("plan", "`plan` of the zones: free, pro, business or enterprise (default free)", func(name string) (err error) {
		p, known := plans()[name]
		if !known {
			return errors.New("no such plan")
		}
		s.plan = p
		return nil
	})
	flags.DurationVar(&s.delay, "delay", 0, "from a write until the name servers answer with it")
	flags.BoolVar(&s.noRates, "no-rate-limits", false, "answer any number of requests")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("argument %q: there are only flags", flags.Arg(0))
	}
	if s.dns == nil {
		s.dns = []string{"127.0.0.1:0"}
	}
	for _, addr := range append([]string{s.listen}, s.dns...) {
		if err := onLoopback(addr); err != nil {
			return s, err
		}
	}
	return s, nil
}

func onLoopback(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%s: want an address and a port such as 127.0.0.1:8080", addr)
	}
	if !at.Addr().IsLoopback() {
		return fmt.Errorf("%s: not a loopback address: nothing but this computer may reach the simulated cloud", addr)
	}
	return nil
}

// config is the cloud that the settings describe.
func config(s settings) (cftest.Config, error) {
	cfg := cftest.Config{ShowAddrs: true}
	if s.zones == nil {
		s.zones = []string{cftest.DefaultZone}
	}
	if s.tokens == nil {
		s.tokens = []string{cftest.DefaultToken}
	}
	for _, name := range s.zones {
		cfg.Zones = append(cfg.Zones, cftest.Zone{Name: name, Plan: s.plan})
	}
	for _, value := range s.tokens {
		cfg.Tokens = append(cfg.Tokens, cftest.Token{Value: value, Grants: []cftest.Grant{{May: cftest.All}}})
	}
	for i := range s.dns {
		cfg.NameServers = append(cfg.NameServers, fmt.Sprintf("ns%d.cloudflare.example", i+1))
	}
	if s.noRates {
		cfg.Limits = cftest.NoLimits()
	}
	return cfg, cftest.Check(cfg)
}

// serve runs the cloud until ctx ends.
func serve(ctx context.Context, s settings, stdout io.Writer, log *slog.Logger) (err error) {
	cfg, err := config(s)
	if err != nil {
		return err
	}
	cloud := cftest.New(cfg)
	for i := range s.dns {
		cloud.Delay(i, func(cftest.Change) time.Duration { return s.delay })
	}
	names, err := cloud.ServeDNS(ctx, s.dns...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, names.Close(context.WithoutCancel(ctx))) }()
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: cloud.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	announce(stdout, cloud, cfg, listener.Addr())
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

// announce says where everything is.
func announce(w io.Writer, cloud *cftest.Cloud, cfg cftest.Config, api net.Addr) {
	fmt.Fprintf(w, "listening on http://%s%s\n", api, cftest.BasePath)
	for _, z := range cfg.Zones {
		fmt.Fprintf(w, "zone %s %s\n", z.Name, cloud.ZoneID(z.Name))
	}
	for _, s := range cloud.Servers() {
		fmt.Fprintf(w, "name server %s %s\n", s.Host, s.Addr)
	}
}
