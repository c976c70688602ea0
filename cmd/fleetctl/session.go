package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
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

	machinesOf fleet.Provider // as it is, below what wraps it in b
	keyFiles   []string       // private keys that may log in, the fleet's own first
	temporary  string         // directory that goes with the session, "" for none
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
	return a.connect(spec, dir, "", command)
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
	key, err := ensureKey(dir)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s, err := a.connect(spec, dir, key, command)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.lock = lock
	return s, nil
}

// connect wires the adapters together. It dials nothing yet. key is the fleet's public
// key; without one the session logs in with the fleet's key if it is there, else with
// what the operator has.
func (a *app) connect(spec fleet.Spec, dir *statedir.Dir, key string, command []string) (_ *session, err error) {
	s := &session{app: a, spec: spec, dir: dir, command: command}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.removeTemporary())
		}
	}()
	s.digest.Store("")
	log := a.logger()
	probe.LogTo(a.libp2pLog())
	pins, err := s.openPins()
	if err != nil {
		return nil, err
	}
	keys, auth, err := s.keys(key)
	if err != nil {
		return nil, err
	}
	s.ssh, err = sshx.New(sshx.Config{Pins: pins, Auth: auth, Log: log})
	if err != nil {
		return nil, err
	}
	runner := a.wrapRunner(s.ssh)
	holder := a.holder(command[0])
	s.hosts = host.New(host.Config{
		Runner: runner, Tunnel: s.ssh, Log: log, HealthyDeadline: spec.Rollout.HealthyDeadline,
		Actor: holder.User + "@" + holder.Host, Command: "fleetctl " + command[0],
		System: host.SystemOf(spec, keys), Keys: s.ssh,
		Plan: func() string { d, _ := s.digest.Load().(string); return d },
	})
	s.machinesOf, err = provider.Open(spec, provider.Config{
		Dir: dir.Path(), Supervise: s.superviseCommand(), Log: log, KeepReason: s.strangers,
		Env: a.getenv, Runner: runner, Path: a.expand, Keys: keys, Bootstrap: s.bootstrap,
	})
	if err != nil {
		return nil, err
	}
	s.zone, err = zone.Open(spec.DNS.Zone, zone.Config{
		Domain: spec.DNS.Domain, Dir: s.zoneDir(), Serve: provider.Server(s.machinesOf),
		Fleet: spec.Name, DNS: spec.DNS, Env: a.getenv, Path: a.expand, Log: log,
	})
	if err != nil {
		return nil, err
	}
	s.b = a.wrap(fleet.Backends{
		Provider: &pinning{Provider: s.machinesOf, pins: pins, frozen: !dir.Exists() && s.temporary == ""},
		Hosts:    s.anyPlatform(), Zone: s.zone,
		Prober: probe.New(probe.Config{Version: thisVersion().Version}),
		Key:    key, Lookout: s.lookout(),
	})
	return s, nil
}

// openPins opens the fleet's pins. Where there is no state directory, as in a CI job, the
// pins that the provider's marks vouch for live as long as the session.
func (s *session) openPins() (*sshx.Pins, error) {
	if s.dir.Exists() || s.spec.Provider == fleet.ProviderLocal {
		return sshx.OpenPins(s.dir.KnownHosts())
	}
	dir, err := os.MkdirTemp("", "fleetctl-")
	if err != nil {
		return nil, fmt.Errorf("pinned host keys: %w", err)
	}
	s.temporary = dir
	return sshx.OpenPins(filepath.Join(dir, "known_hosts"))
}

func (s *session) removeTemporary() error {
	if s.temporary == "" {
		return nil
	}
	return os.RemoveAll(s.temporary)
}

// keys are the public keys that every box lets in, and what the session logs in with.
func (s *session) keys(own string) (public []string, auth sshx.Auth, err error) {
	if own == "" {
		if key, err := sshx.LoadKey(s.dir.SSHKey()); err == nil {
			own = key.PublicKey
		}
	}
	if own != "" || s.spec.Provider == fleet.ProviderLocal {
		s.keyFiles, auth.KeyFile = []string{s.dir.SSHKey()}, s.dir.SSHKey()
	}
	if own != "" {
		public = append(public, own+" fleetctl-"+s.spec.Name)
	}
	if s.spec.Provider == fleet.ProviderLocal {
		return public, auth, nil
	}
	theirs, private, err := s.app.operatorKeys(s.spec)
	if err != nil {
		return nil, auth, err
	}
	s.keyFiles = append(s.keyFiles, private...)
	auth.Signers, auth.AgentSocket = sshx.Signers(private), s.app.getenv("SSH_AUTH_SOCK")
	return append(public, theirs...), auth, nil
}

// bootstrap makes what a new machine is told at its order.
func (s *session) bootstrap(keys []string) (userData, hostKey string, err error) {
	private, public, err := sshx.NewHostKey()
	if err != nil {
		return "", "", err
	}
	userData, err = host.UserData{
		User: fleet.LoginUser, Keys: keys, HostKeyPEM: private, HostKeyPublic: public, SSHPort: s.spec.Ocean.SSHPort,
	}.CloudConfig()
	return userData, public, err
}

// ensureKey returns the fleet's public SSH key, making the pair on first use.
func ensureKey(dir *statedir.Dir) (string, error) {
	key, err := sshx.LoadKey(dir.SSHKey())
	if errors.Is(err, fs.ErrNotExist) {
		key, err = sshx.GenerateKey(dir.SSHKey())
	}
	return key.PublicKey, err
}

// forget removes what is kept on this computer for a fleet that is gone, but for the
// history of its numbers. Where boxes or the zone are of this computer, their provider did.
func (s *session) forget() error {
	if s.dir == nil || s.spec.Provider == fleet.ProviderLocal || s.spec.DNS.Zone == fleet.ZoneLocal {
		return nil
	}
	stays, err := s.dir.Remove(func(name string) bool { return strings.HasPrefix(name, history.FileName) })
	if stays {
		s.app.say("the history of its numbers stays in %s", s.dir.Path())
	}
	return err
}

// strangers says which records in our zone belong to somebody else, "" if none do: the
// zone must outlive the fleet then. A zone that cannot be read may hold some. One elsewhere
// outlives it anyway.
func (s *session) strangers() string {
	if s.spec.DNS.Zone != fleet.ZoneLocal {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), strangersTimeout)
	defer cancel()
	records, err := s.zone.Records(ctx, s.spec.DNS.RecordName())
	if err != nil {
		return "the zone could not be read: " + err.Error()
	}
	for _, r := range records {
		if _, ok := r.OwnedBy(s.spec.Name); !ok {
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
	err := errors.Join(s.ssh.Close(), s.removeTemporary())
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
