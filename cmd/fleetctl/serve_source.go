package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

var _ web.Source = (*watcher)(nil)

// Series reads the history.
func (w *watcher) Series(ctx context.Context, q web.Query) ([]stats.Series, error) {
	var step history.Step
	if q.Step != "" {
		var err error
		if step, err = history.ParseStep(q.Step); err != nil {
			return nil, fmt.Errorf("%w: %w", web.ErrQuery, err)
		}
	}
	var out []stats.Series
	err := w.store.with(func(store *history.Store) (err error) {
		out, err = store.Series(ctx, q.Metric, history.Query{Since: q.Since, Until: q.Until, Step: step, By: q.By})
		return err
	})
	switch {
	case errors.Is(err, history.ErrNone):
		return nil, web.ErrNoHistory
	case errors.Is(err, history.ErrQuery):
		return nil, fmt.Errorf("%w: %w", web.ErrQuery, err)
	}
	return out, err
}

// Scrape reads /metrics of a relay through the tunnel to its box.
func (w *watcher) Scrape(ctx context.Context, node string) (io.ReadCloser, error) {
	w.mu.Lock()
	machines, tunnels := w.seen.roster.machines, w.tunnels
	w.mu.Unlock()
	for _, m := range machines {
		if m.Node != node || m.Phase != fleet.PhaseActive {
			continue
		}
		if tunnels == nil {
			break
		}
		resp, err := tunnels.get(ctx, m, "/metrics")
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, errors.Join(fmt.Errorf("%s: GET /metrics: status %d", node, resp.StatusCode), resp.Body.Close())
		}
		return resp.Body, nil
	}
	return nil, fmt.Errorf("%s has no machine that could be asked", node)
}
