package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/relay"
)

// runFlags describe one relay without a configuration file.
type runFlags struct {
	config       string
	state        string
	listen       []string
	reservations int
	network      string
	api          string
	format       string
}

func runCommand(a *app) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run --config FILE | --state DIR --listen MULTIADDR…",
		Short: "Serve until SIGTERM or SIGINT, then drain",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), f) },
	}
	d := relay.Default()
	c.Flags().StringVar(&f.config, "config", "", "configuration file")
	c.Flags().StringVar(&f.state, "state", "", "state directory")
	c.Flags().StringSliceVar(&f.listen, "listen", nil, "multiaddr to listen on; may be repeated")
	c.Flags().IntVar(&f.reservations, "reservations", d.Limits.Reservations, "reservations held at once")
	c.Flags().StringVar(&f.network, "network", d.Network, "protocol prefix")
	c.Flags().StringVar(&f.api, "api", d.API, "loopback address of the HTTP API")
	c.Flags().StringVar(&f.format, "log", "text", "format of the log on stderr: text or json")
	for _, other := range []string{"state", "listen", "reservations", "network", "api"} {
		c.MarkFlagsMutuallyExclusive("config", other)
	}
	c.MarkFlagsOneRequired("config", "state")
	c.MarkFlagsRequiredTogether("state", "listen")
	return c
}

// gcPercent trades a little CPU for memory: many relays may share a machine, and the
// buffers of circuits are pooled.
const gcPercent = 40

// configured reads the file, or puts a configuration together from the flags.
func (f runFlags) configured() (relay.Config, error) {
	if f.config != "" {
		return relay.LoadConfig(f.config)
	}
	state, err := filepath.Abs(f.state)
	if err != nil {
		return relay.Config{}, err
	}
	cfg := relay.Default()
	cfg.State, cfg.Listen, cfg.Network, cfg.API = state, f.listen, f.network, f.api
	cfg.Limits.Reservations = f.reservations
	return cfg, nil
}

func (a *app) serve(ctx context.Context, f runFlags) error {
	var handler slog.Handler
	switch f.format {
	case "text":
		handler = slog.NewTextHandler(a.stderr, nil)
	case "json":
		handler = slog.NewJSONHandler(a.stderr, nil)
	default:
		return errors.New("log: accepted are text and json")
	}
	cfg, err := f.configured()
	if err != nil {
		return err
	}
	cfg.Version, cfg.Revision = a.version, a.revision
	r, err := relay.New(cfg, slog.New(handler))
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	served := make(chan struct{})
	defer close(served)
	go func() {
		select {
		case <-a.hurry:
			r.Hurry()
		case <-served:
		}
	}()
	return r.Run(ctx)
}
