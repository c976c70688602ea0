package relay

import (
	"fmt"

	"github.com/relayfleet/fleetctl/stats"
)

// readiness says whether the relay can serve a newcomer.
func (r *Relay) readiness() stats.Ready {
	ready := stats.Ready{Warnings: append([]string{}, r.archive.complaints()...), Listeners: r.wished.view()}
	ready.Warnings = append(ready.Warnings, r.fleet.complaints()...)
	h, hop := r.hosted()
	if h != nil {
		ready.Draining = hop.isDraining()
	}
	ready.Reason = r.reason(h != nil, ready)
	ready.Ready = ready.Reason == ""
	return ready
}

func (r *Relay) reason(hosted bool, ready stats.Ready) string {
	if !hosted {
		return "starting"
	}
	if r.stopping.Load() {
		return "stopping"
	}
	for _, l := range ready.Listeners {
		if !l.Up {
			return fmt.Sprintf("listener %s is not up: %s", l.Address, l.Error)
		}
	}
	if ready.Draining {
		return "draining"
	}
	return ""
}
