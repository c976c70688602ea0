package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "status",
		Short:             "Show every relay, its record, and what belongs to nobody",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("status")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("reading fleet " + s.spec.Name)
			st, err := fleet.Observe(cmd.Context(), s.b, s.spec)
			done()
			if err != nil {
				return err
			}
			v := s.status(cmd.Context(), st)
			return errors.Join(a.show(v), v.problem(), silenced(barred(st)))
		},
	}
}

// relayStatus is one relay in `fleetctl status`.
type relayStatus struct {
	Node         string   `json:"node"`
	Region       string   `json:"region"`
	PeerID       string   `json:"peer_id"`
	Addresses    []string `json:"addresses"` // what clients dial, without the peer ID
	State        string   `json:"state"`
	Reason       string   `json:"reason"`
	Version      string   `json:"version"`
	Published    bool     `json:"published"`
	Verified     bool     `json:"verified"`
	PID          int      `json:"pid,omitempty"` // provider local
	Machine      string   `json:"machine"`
	SSH          string   `json:"ssh"`
	Phase        string   `json:"phase"`
	Reservations *int     `json:"reservations"`
	Warnings     []string `json:"warnings"`
}

// statusView is what `fleetctl status` says.
type statusView struct {
	Relays  []relayStatus `json:"relays"`
	Zone    zoneStatus    `json:"zone"`
	Orphans []orphan      `json:"orphans"`
	Fleet   string        `json:"fleet"`
	Errors  []string      `json:"errors"` // readings that failed as a whole
}

type zoneStatus struct {
	dnsaddr.Status
	Name    string   `json:"name"`
	Records int      `json:"records"` // ours
	Foreign []string `json:"foreign"`
}

// status turns a state into what is said of it.
func (s *session) status(ctx context.Context, st fleet.State) statusView {
	v := statusView{Relays: []relayStatus{}, Orphans: []orphan{}, Errors: []string{}, Fleet: s.spec.Name}
	v.Zone = zoneStatus{Status: s.zone.Status(ctx), Name: s.spec.DNS.RecordName(), Foreign: []string{}}
	for _, err := range []error{st.Machines.Err, st.Records.Err} {
		if err != nil {
			v.Errors = append(v.Errors, err.Error())
		}
	}
	byNode := make(map[string][]fleet.Machine)
	for _, m := range st.Machines.Value {
		byNode[m.Node] = append(byNode[m.Node], m)
	}
	for _, slot := range s.spec.Slots() {
		if len(byNode[slot.Node]) == 0 {
			v.Relays = append(v.Relays, s.missing(st, slot))
		}
		for _, m := range byNode[slot.Node] {
			v.Relays = append(v.Relays, s.relay(st, m))
		}
		delete(byNode, slot.Node)
	}
	for _, m := range st.Machines.Value {
		if _, stray := byNode[m.Node]; stray {
			v.Relays = append(v.Relays, s.relay(st, m))
		}
	}
	s.recordStatus(st, &v)
	v.Orphans = orphans(s.spec, st)
	return v
}

// missing is a slot without a machine.
func (s *session) missing(st fleet.State, slot fleet.Slot) relayStatus {
	r := relayStatus{Node: slot.Node, Region: slot.Region, Addresses: []string{}, State: "missing", Warnings: []string{}}
	if !st.Machines.OK() {
		r.State = "unknown"
	}
	for _, rec := range st.Records.Value {
		if node, ok := rec.OwnedBy(s.spec.Name); ok && node == slot.Node {
			r.Published = true
			if a, err := rec.Addr(); err == nil {
				r.PeerID, r.Addresses = a.PeerID(), append(r.Addresses, a.Dial())
				p := st.Probes[a]
				r.Verified = p.OK() && p.Value.Verdict.Verified()
			}
		}
	}
	return r
}

// relay is a machine and its relay.
func (s *session) relay(st fleet.State, m fleet.Machine) relayStatus {
	reading, read := st.Relays[m.ID]
	rel := reading.Value
	r := relayStatus{
		Node: m.Node, Region: m.Region, PeerID: rel.PeerID, Addresses: fleet.Announce(s.spec, m), Version: rel.Version,
		PID: m.PID, Machine: m.ID, SSH: sshAddr(m), Phase: string(m.Phase), Reason: rel.Reason, Warnings: []string{},
	}
	if r.Addresses == nil {
		r.Addresses = []string{}
	}
	r.Warnings = append(r.Warnings, rel.Warnings...)
	if read && reading.OK() && !rel.Active {
		r.PID = 0 // of a process that ended
	}
	if rel.Active && rel.Reservations >= 0 {
		r.Reservations = &rel.Reservations
	}
	if rel.PeerID == "" {
		r.PeerID = s.publishedPeer(st, m)
	}
	var verdict fleet.Verdict
	r.Published, r.Verified, verdict = s.publication(st, r.PeerID)
	switch {
	case m.Status == fleet.StatusStopped:
		r.State = "stopped"
	case read && !reading.OK():
		r.State, r.Reason = "unreadable", reading.Err.Error()
	case !rel.Installed:
		r.State = "new"
	case !rel.Active:
		r.State = "down"
	case m.Phase != fleet.PhaseActive:
		r.State = string(m.Phase)
	case !rel.Ready:
		r.State = "not ready"
	case verdict != "":
		r.State = string(verdict)
	default:
		r.State = "ready"
	}
	return r
}

// publishedPeer is the peer ID under which a machine that cannot be read was published,
// "" unless exactly one record can be meant.
func (s *session) publishedPeer(st fleet.State, m fleet.Machine) string {
	found := ""
	for _, rec := range st.Records.Value {
		node, ours := rec.OwnedBy(s.spec.Name)
		a, err := rec.Addr()
		if !ours || err != nil || node != m.Node {
			continue
		}
		if found != "" {
			return ""
		}
		found = a.PeerID()
	}
	return found
}

// publication says whether a peer ID is published, and whether a probe verified it.
func (s *session) publication(st fleet.State, peer string) (published, verified bool, verdict fleet.Verdict) {
	if peer == "" {
		return false, false, ""
	}
	for _, rec := range st.Records.Value {
		if a, err := rec.Addr(); err == nil && a.PeerID() == peer {
			published = true
		}
	}
	for a, p := range st.Probes {
		if a.PeerID() == peer && p.OK() && better(p.Value.Verdict, verdict) {
			verdict = p.Value.Verdict
		}
	}
	return published, verdict.Verified(), verdict
}

// better reports whether a relay of which one address is found as v is said to be that,
// rather than what another one is found as.
func better(v, than fleet.Verdict) bool {
	order := []fleet.Verdict{"", fleet.Unreachable, fleet.WrongPeer, fleet.Elsewhere, fleet.NotServing, fleet.Draining, fleet.Full, fleet.Serving}
	return slices.Index(order, v) > slices.Index(order, than)
}

// recordStatus counts our records and names those of others.
func (s *session) recordStatus(st fleet.State, v *statusView) {
	for _, rec := range st.Records.Value {
		if _, ours := rec.OwnedBy(s.spec.Name); !ours {
			v.Zone.Foreign = append(v.Zone.Foreign, rec.Value)
			continue
		}
		v.Zone.Records++
	}
}
