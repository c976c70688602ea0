package relay

import (
	"fmt"
	"time"
)

// Readiness is the answer of /readyz. A JSON shape that only grows.
type Readiness struct {
	Ready     bool       `json:"ready"`
	Reason    string     `json:"reason"` // why not; empty when ready
	Draining  bool       `json:"draining"`
	Warnings  []string   `json:"warnings"` // damaged files, unreadable lines
	Listeners []Listener `json:"listeners"`
}

// readiness says whether the relay can serve a newcomer.
func (r *Relay) readiness() Readiness {
	ready := Readiness{Warnings: append([]string{}, r.archive.complaints()...), Listeners: r.wished.view()}
	ready.Warnings = append(ready.Warnings, r.fleet.complaints()...)
	h, hop := r.hosted()
	if h != nil {
		ready.Draining = hop.isDraining()
	}
	ready.Reason = r.reason(h != nil, ready)
	ready.Ready = ready.Reason == ""
	return ready
}

func (r *Relay) reason(hosted bool, ready Readiness) string {
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

// Version is the answer of /api/version and of `relay version -o json`.
type Version struct {
	Version   string     `json:"version"`
	Revision  string     `json:"revision"`
	Go        string     `json:"go"`
	SHA256    string     `json:"sha256"` // of the executable that runs, taken at its start; empty if unreadable
	PeerID    string     `json:"peer_id,omitempty"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	Agent     string     `json:"agent,omitempty"`
}
