package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/web"
)

// defaultListen is where `fleetctl serve` answers if nothing else is said.
const defaultListen = "127.0.0.1:8484"

// serveFlags say where the fleet is shown, to whom, and how often it is looked at.
type serveFlags struct {
	listen    string
	hosts     []string
	tokenFile string
	tlsCert   string
	tlsKey    string
	look      time.Duration
	every     time.Duration
	noCollect bool
}

func newServe(a *app) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Show the fleet in a browser, and to Prometheus",
		Long: `Show the fleet in a browser, live: every relay, DNS, the plan, who uses the network. The same
server has /metrics for Prometheus, service discovery and a way to each relay's own metrics
through its SSH tunnel, and JSON at /api/v1/openapi.json. It changes nothing.

It looks at the whole fleet every --look, asks each relay every other second whether it is
there, and collects telemetry into the history every --every.

It answers on loopback. Anywhere else it needs TLS and a token: --tls-cert, --tls-key, and
--token-file or FLEETCTL_SERVE_TOKEN. A browser asks for the token once; programs send it
as a bearer token. Requests that name another host than loopback, --host or a name in the
certificate are refused, and so are those that pages of other origins make.`,
		Example: `  fleetctl serve
  fleetctl serve --listen :8443 --tls-cert cert.pem --tls-key key.pem --token-file token`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.serve(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", defaultListen, "the `address` to answer at, host:port; port 0 is any")
	flags.StringArrayVar(&f.hosts, "host", nil, "a `name` that requests may call this server by; again for more")
	flags.StringVar(&f.tokenFile, "token-file", "", "the `file` with the token that is asked for; FLEETCTL_SERVE_TOKEN holds one without a file")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "the `file` with the certificate chain, PEM")
	flags.StringVar(&f.tlsKey, "tls-key", "", "the `file` with its key, PEM")
	flags.DurationVar(&f.look, "look", 15*time.Second, "look at the whole fleet again after this `long`")
	flags.DurationVar(&f.every, "every", time.Minute, "collect telemetry again after this `long`")
	flags.BoolVar(&f.noCollect, "no-collect", false, "collect nothing: show the history that others write")
	return cmd
}

// check refuses what cannot be meant.
func (f serveFlags) check() error {
	switch {
	case f.look < time.Second:
		return fmt.Errorf("serve: --look %s: at least 1s is accepted", f.look)
	case f.every < time.Second:
		return fmt.Errorf("serve: --every %s: at least 1s is accepted", f.every)
	}
	return nil
}

// serve shows the fleet until ctx ends, which is no error: that is how it is ended.
func (a *app) serve(ctx context.Context, f serveFlags) (err error) {
	door, err := a.openDoor(f)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless there was none
	w, err := a.watcher(f)
	if err != nil {
		return err
	}
	handler, err := web.New(web.Config{
		Source: w, Hosts: door.hosts, Token: door.token, Certificate: door.certificate,
		StaleAfter: 2*f.look + time.Minute, Now: a.now, Log: a.logger(),
	})
	if err != nil {
		return errors.Join(err, w.current().close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return door.answer(ctx, listener, handler.Handler()) })
	group.Go(func() error { return w.run(ctx) })
	group.Go(func() error { return a.show(serveView{Fleet: w.name(), URL: door.url(listener.Addr())}) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serveView says where the fleet is shown.
type serveView struct {
	Fleet string `json:"fleet"`
	URL   string `json:"url"`
}

func (v serveView) Table() render.Table {
	return render.Table{Facts: []render.Fact{{Name: "fleet", Value: v.Fleet}, {Name: "shown at", Value: v.URL}, {Name: "until", Value: "Ctrl-C"}}}
}

// answer serves requests until ctx ends, and lets those that are under way come to an end.
func (d door) answer(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, TLSConfig: d.tls,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // a page that follows ends with it
		ErrorLog:    slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		if d.tls != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		err = errors.Join(err, server.Close())
		<-ended
		return fmt.Errorf("serve: %w", err)
	}
	<-ended
	return ctx.Err()
}
