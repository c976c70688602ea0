package host

import (
	"context"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// Collect reads what is new at the relay of m since an earlier reading: its telemetry
// and what changed in its census after that reading's cursor; "" asks for all of it.
// A relay that has neither is read as by Report, and marked as old.
func (h *Hosts) Collect(ctx context.Context, m fleet.Machine, _ string) stats.Reading {
	began := time.Now()
	out := h.Report(ctx, m)
	out.Old, out.At, out.Took = true, began, time.Since(began)
	return out
}
