package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

const (
	signParallel = 64
	signTimeout  = 8 * time.Second
	signLimit    = 256 << 10 // bytes of one answer
)

// life is what a sign says.
type life string

// What a relay can be found as.
const (
	lifeReady    life = "ready"
	lifeAnswers  life = "answers" // it does not say whether it is ready: an old one
	lifeNotReady life = "not ready"
	lifeDraining life = "draining"
	lifeDown     life = "down"       // the box says that nothing answers there
	lifeUnknown  life = "unreadable" // the box was not reached, or not in time
)

// sign is a quick look at one relay: is it there?
type sign struct {
	at     time.Time
	life   life
	reason string // of what is not ready, down or unknown
}

// roster is the machines of a fleet as the provider listed them last. While its API does
// not answer they are asked as they were then.
type roster struct {
	at       time.Time // zero: never
	machines []fleet.Machine
}

// of is the machine of a node, "" if it has none: the one in use if it is being replaced.
func (r roster) of(node string) string {
	id := ""
	for _, m := range r.machines {
		if m.Node == node && (id == "" || m.Phase == fleet.PhaseActive) {
			id = m.ID
		}
	}
	return id
}

// overlay is a relay as the last whole look found it, corrected by a sign that came later.
// What the look knew of a relay that is gone since is no longer known.
func overlay(r web.Relay, s sign) web.Relay {
	alive := r.State == string(fleet.Serving) || r.State == string(fleet.Full) || r.State == "ready"
	switch s.life {
	case lifeReady, lifeAnswers:
		if r.State == "down" || r.State == "unreadable" {
			r.State, r.Reason, r.Verified, r.ProbedAt = "ready", "it answers again", nil, time.Time{}
		}
		if r.State == "unknown" && r.Verified != nil && *r.Verified {
			r.State = string(fleet.Serving)
		}
	case lifeNotReady, lifeDraining:
		if alive || r.State == "down" || r.State == "unreadable" || r.State == "unknown" {
			r.State, r.Reason = string(s.life), s.reason
		}
	case lifeDown:
		if r.State != "down" && r.State != "new" && r.State != "stopped" {
			r.State, r.Reason, r.Verified, r.ProbedAt = "down", s.reason, nil, time.Time{}
		}
		r.Reservations, r.Users = nil, nil
	case lifeUnknown:
		if alive || r.State == "not ready" || r.State == "down" || r.State == "unknown" {
			r.State, r.Reason = "unreadable", s.reason
		}
		r.Reservations, r.Users = nil, nil
	}
	return r
}

// ask asks every running relay for a sign. One that changed is a reason for a whole look.
func (w *watcher) ask(ctx context.Context, t *tunnels) {
	w.mu.Lock()
	machines, before := w.seen.roster.machines, w.seen.signs
	w.mu.Unlock()
	found := signsOf(ctx, t, machines, w.now)
	if ctx.Err() != nil || len(machines) == 0 {
		return
	}
	w.note(func(v *seen) { v.signs = found })
	for id, s := range found {
		if old, ok := before[id]; ok && old.life != s.life {
			w.lookAgain()
		}
	}
}

func signsOf(ctx context.Context, t *tunnels, machines []fleet.Machine, now func() time.Time) map[string]sign {
	var mu sync.Mutex
	found := make(map[string]sign, len(machines))
	var group errgroup.Group
	group.SetLimit(signParallel)
	for _, m := range machines {
		if m.Status != fleet.StatusRunning || m.Problem != "" {
			continue
		}
		group.Go(func() error {
			s := t.sign(ctx, m)
			s.at = now()
			mu.Lock()
			defer mu.Unlock()
			found[m.ID] = s
			return nil
		})
	}
	_ = group.Wait()
	return found
}

// sign asks whether the relay of a box is ready.
func (t *tunnels) sign(ctx context.Context, m fleet.Machine) sign {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	resp, err := t.get(ctx, m, "/readyz")
	var lost *sshx.TransportError
	switch {
	case errors.As(err, &lost) && lost.Refused():
		return sign{life: lifeDown, reason: "nothing answers at its API"}
	case err != nil:
		return sign{life: lifeUnknown, reason: err.Error()}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, signLimit))
	var ready stats.Ready
	switch {
	case err != nil:
		return sign{life: lifeUnknown, reason: err.Error()}
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable, json.Unmarshal(text, &ready) != nil:
		return sign{life: lifeAnswers}
	case ready.Draining:
		return sign{life: lifeDraining, reason: ready.Reason}
	case !ready.Ready:
		return sign{life: lifeNotReady, reason: ready.Reason}
	}
	return sign{life: lifeReady}
}

// tunnels keeps a way to the API of each relay, through the connection to its box. It is
// safe for concurrent use.
type tunnels struct {
	ssh sshx.Tunnel

	mu  sync.Mutex
	way map[string]*way // by machine ID
}

// way is how one relay is asked. Connections are kept from one question to the next.
type way struct {
	at     sshx.Target
	client *http.Client
}

func newTunnels(s *session) *tunnels { return &tunnels{ssh: s.ssh, way: make(map[string]*way)} }

// get asks a relay for a path. The caller closes the body of the answer.
func (t *tunnels) get(ctx context.Context, m fleet.Machine, path string) (*http.Response, error) {
	client, err := t.to(m)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host.API+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: GET %s: %w", m.Node, path, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Node, errors.Unwrap(err)) // without the URL, which is that of every box
	}
	return resp, nil
}

func (t *tunnels) to(m fleet.Machine) (*http.Client, error) {
	at, err := host.Target(m)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.way[m.ID]; ok && known.at.Addr == at.Addr && known.at.User == at.User {
		return known.client, nil
	}
	if old, ok := t.way[m.ID]; ok {
		old.client.CloseIdleConnections()
	}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return t.ssh.Dial(ctx, at, host.API) },
			DisableCompression: true, MaxResponseHeaderBytes: 32 << 10, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it answers with a redirect") },
	}
	t.way[m.ID] = &way{at: at, client: client}
	return client, nil
}

func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range maps.Values(t.way) {
		one.client.CloseIdleConnections()
	}
}
