package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/probe"
	"github.com/relayfleet/fleetctl/pkg/provider"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/pkg/zone"
)

// session is one command's work on one fleet: everything outside that it talks to.
type session struct {
	app     *app
	spec    fleet.Spec
	dir     *statedir.Dir
	lock    *statedir.Lock // nil for a command that only reads
	ssh     *sshx.Client
	hosts   *host.Hosts
	zone    dnsaddr.Zone
	b       fleet.Backends
	command []string
	digest  atomic.Value // string: the plan being carried out
}

// read opens a session for a command that changes nothing.
func (a *app) read(command ...string) (*session, error) {
	spec, err := a.loadSpec()
	if err != nil {
		return nil, err
	}
	dir, err := a.readState(spec)
	if err != nil {
		return nil, err
	}
	return a.connect(spec, dir, command)
}

// write opens a session for a command that changes the fleet: it holds the fleet's
// lock until close, after waiting for it as long as wait says.
func (a *app) write(ctx context.Context, wait time.Duration, command ...string) (*session, error) {
	spec, err := a.loadSpec()
	if err != nil {
		return nil, err
	}
	dir, err := a.openState(spec)
	if err != nil {
		return nil, err
	}
	lock, err := dir.Lock(ctx, a.holder("fleetctl "+strings.Join(command, " ")), wait)
	if err != nil {
		return nil, err
	}
	s, err := a.connect(spec, dir, command)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.lock = lock
	if s.b.Key, err = s.ensureKey(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// connect wires the adapters together. It dials nothing yet.
func (a *app) connect(spec fleet.Spec, dir *statedir.Dir, command []string) (*session, error) {
	s := &session{app: a, spec: spec, dir: dir, command: command}
	s.digest.Store("")
	log := a.logger()
	probe.LogTo(a.libp2pLog())
	pins, err := sshx.OpenPins(dir.KnownHosts())
	if err != nil {
		return nil, err
	}
	s.ssh, err = sshx.New(sshx.Config{Pins: pins, Auth: sshx.Auth{KeyFile: dir.SSHKey()}, Log: log})
	if err != nil {
		return nil, err
	}
	holder := a.holder(command[0])
	s.hosts = host.New(host.Config{
		Runner: a.wrapRunner(s.ssh), Tunnel: s.ssh, Log: log, HealthyDeadline: spec.Rollout.HealthyDeadline,
		Actor: holder.User + "@" + holder.Host, Command: "fleetctl " + command[0],
		Plan: func() string { d, _ := s.digest.Load().(string); return d },
	})
	machines, err := provider.Open(spec, provider.Config{
		Dir: dir.Path(), Supervise: s.superviseCommand(), Log: log, KeepReason: s.strangers,
	})
	if err != nil {
		return nil, err
	}
	s.zone, err = zone.Open(spec.DNS.Zone, zone.Config{Domain: spec.DNS.Domain, Dir: s.zoneDir(), Serve: provider.Server(machines)})
	if err != nil {
		return nil, err
	}
	s.b = a.wrap(fleet.Backends{
		Provider: &pinning{Provider: machines, pins: pins, frozen: !dir.Exists()},
		Hosts:    s.hosts, Zone: s.zone,
		Prober: probe.New(probe.Config{Version: thisVersion().Version}),
	})
	return s, nil
}

// ensureKey returns the fleet's public SSH key, making the pair on first use.
func (s *session) ensureKey() (string, error) {
	key, err := sshx.LoadKey(s.dir.SSHKey())
	if errors.Is(err, fs.ErrNotExist) {
		key, err = sshx.GenerateKey(s.dir.SSHKey())
	}
	return key.PublicKey, err
}

// strangers says which records in our zone belong to somebody else, "" if none do: the
// zone must outlive the fleet then. A zone that cannot be read may hold some.
func (s *session) strangers() string {
	ctx, cancel := context.WithTimeout(context.Background(), strangersTimeout)
	defer cancel()
	records, err := s.zone.Records(ctx, s.spec.DNS.RecordName())
	if err != nil {
		return "the zone could not be read: " + err.Error()
	}
	for _, r := range records {
		if o, ok := r.Owner(); !ok || o.Fleet != s.spec.Name {
			return "the zone holds records that are not ours: " + r.Value
		}
	}
	return ""
}

// strangersTimeout bounds the look into our own zone at the end of down.
const strangersTimeout = 10 * time.Second

// close ends the session, frees the lock, and after down removes the directory of all
// fleets' state if no other fleet is in it.
func (s *session) close() error {
	err := s.ssh.Close()
	if s.lock == nil {
		return err
	}
	err = errors.Join(err, s.lock.Unlock())
	if !s.dir.Exists() {
		_ = os.Remove(filepath.Dir(s.dir.Path())) // another fleet's is in it
	}
	return err
}

// audit notes that a command wrote something, as far as the directory is still there.
func (s *session) audit(result string, problem error) {
	if !s.dir.Exists() {
		return
	}
	h := s.app.holder(s.command[0])
	digest, _ := s.digest.Load().(string)
	e := statedir.Entry{At: s.app.now().UTC(), User: h.User, Host: h.Host, Command: s.command, Plan: digest, Result: result}
	if problem != nil {
		e.Error = problem.Error()
	}
	if err := s.dir.Audit(e); err != nil {
		s.app.say("fleetctl: warning: %v", err)
	}
}
