package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshserver"
)

// boxUser is the user name of every box.
const boxUser = "relay"

// apiPort is where the daemon's API answers as seen from the box.
const apiPort = 9847

// box is one machine in the supervisor.
type box struct {
	id   string
	dir  string
	keys func() ([]ssh.PublicKey, error)
	log  *slog.Logger
	jail *os.Root
	unit *boxsim.Unit

	mu       sync.Mutex // one change at a time
	rec      record
	on       bool
	server   *sshserver.Server
	forwards []io.Closer
	wg       sync.WaitGroup // Serve of the server
}

// openBox reads a box from disk and adopts its relay. Nothing is served yet.
func openBox(dir string, keys func() ([]ssh.PublicKey, error), grace time.Duration, log *slog.Logger) (*box, error) {
	rec, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	jail, err := os.OpenRoot(boxsim.Root(dir))
	if err != nil {
		return nil, err
	}
	b := &box{id: rec.ID, dir: dir, rec: rec, keys: keys, log: log, jail: jail}
	bind := rec.bind()
	ports := []usedPort{
		{bind.TCP, "tcp", "relay"}, {bind.QUIC, "udp", "relay, QUIC"},
		{bind.WS, "tcp", "relay, WebSocket"}, {bind.API, "tcp", "relay, API"},
	}
	b.unit = &boxsim.Unit{
		Box: rec.ID, Dir: dir, Jail: jail, Journal: boxsim.NewJournal(dir), Grace: grace, Log: log,
		Config:  daemonConfig(dir),
		Program: func() (boxsim.Program, error) { return b.program(ports) },
	}
	if err := b.unit.Load(); err != nil {
		return nil, errors.Join(err, jail.Close())
	}
	return b, nil
}

// daemonConfig is the path of the daemon's configuration on this computer: no other
// process has it among its arguments.
func daemonConfig(dir string) string { return filepath.Join(boxsim.Root(dir), boxsim.ConfigPath) }

// program is what relay.service starts, if its ports are free.
func (b *box) program(ports []usedPort) (boxsim.Program, error) {
	if err := b.unit.Runnable(); err != nil {
		return boxsim.Program{}, err
	}
	config, err := b.unit.ReadConfig()
	if err != nil {
		return boxsim.Program{}, err
	}
	for _, p := range ports {
		// A port that the relay does not serve may be somebody else's by now.
		if !bytes.Contains(config, []byte(strconv.Itoa(p.port))) {
			continue
		}
		if err := p.free(); err != nil {
			return boxsim.Program{}, fmt.Errorf("box %s: %w", b.id, err)
		}
	}
	return boxsim.Program{
		Path: filepath.Join(boxsim.Root(b.dir), boxsim.RelayPath),
		Args: []string{"run", "--config", b.unit.Config},
		Env:  boxsim.Environment(b.dir),
	}, nil
}

// bind are the ports behind the forwarders, or those that clients dial if there is none.
func (r record) bind() fleet.Ports {
	if r.Bind == (fleet.Ports{}) {
		return r.Ports
	}
	return r.Bind
}

// powerOn serves the box's SSH, slows its traffic down if that was asked for, and starts
// its relay if that is enabled, as a machine does that is switched on. A relay that
// cannot be started is in the journal, as there. A box that is on is left alone.
func (b *box) powerOn(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on {
		return nil
	}
	if err := b.serve(); err != nil {
		return fmt.Errorf("box %s: %w", b.id, errors.Join(err, b.silence(ctx)))
	}
	if b.unit.Poll().Enabled {
		if err := b.unit.Start(); err != nil {
			b.unit.Journal.Note("start: %v", err)
			b.log.WarnContext(ctx, "relay was not started", slog.String("box", b.id), slog.Any("error", err))
		}
	}
	if err := answers(ctx, loopback(b.rec.Ports.SSH), b.server.HostKey.PublicKey()); err != nil {
		return fmt.Errorf("box %s: %w", b.id, errors.Join(err, b.silence(ctx)))
	}
	b.on = true
	return nil
}

// serve starts the SSH server and the forwarders.
func (b *box) serve() error {
	key, err := readHostKey(filepath.Join(b.dir, hostKeyFile))
	if err != nil {
		return err
	}
	bind := b.rec.bind()
	listener, err := listenTCP(usedPort{bind.SSH, "tcp", "ssh"})
	if err != nil {
		return err
	}
	b.server = &sshserver.Server{
		HostKey: key, AuthorizedKeys: b.keys, User: boxUser, Sudo: true, Exec: b.exec, Root: b.jail,
		AllowTunnel: func(host string, port uint32) (string, bool) {
			return loopback(bind.API), port == apiPort && (host == "127.0.0.1" || host == "localhost")
		},
		Log: b.log.With(slog.String("box", b.id)),
	}
	server := b.server
	b.wg.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, sshserver.ErrClosed) {
			b.log.Error("ssh server ended", slog.String("box", b.id), slog.Any("error", err))
		}
	})
	if b.rec.Delay == 0 {
		return nil
	}
	ports := b.rec.Ports
	for _, way := range []struct {
		what     string
		from, to int
	}{{"ssh", ports.SSH, bind.SSH}, {"relay", ports.TCP, bind.TCP}, {"relay, WebSocket", ports.WS, bind.WS}} {
		f, err := forwardTCP(usedPort{way.from, "tcp", way.what}, usedPort{way.to, "tcp", way.what}, b.rec.Delay)
		if err != nil {
			return err
		}
		b.forwards = append(b.forwards, f)
	}
	f, err := forwardUDP(usedPort{ports.QUIC, "udp", "relay, QUIC"}, usedPort{bind.QUIC, "udp", "relay, QUIC"}, b.rec.Delay)
	if err != nil {
		return err
	}
	b.forwards = append(b.forwards, f)
	return nil
}

// powerOff ends what the supervisor does for the box. Its relay goes on.
func (b *box) powerOff(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silence(ctx)
}

func (b *box) silence(ctx context.Context) error {
	b.on = false
	var errs []error
	for _, f := range b.forwards {
		errs = append(errs, f.Close())
	}
	b.forwards = nil
	if b.server != nil {
		errs = append(errs, b.server.Shutdown(ctx))
		b.wg.Wait()
		b.server = nil
	}
	return errors.Join(errs...)
}

// machine is the box as the provider lists it.
func (b *box) machine() fleet.Machine {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.rec.Machine
	m.Root = boxsim.Root(b.dir)
	m.PID = b.unit.Poll().Proc.PID
	m.Status = fleet.StatusStopped
	if b.on {
		m.Status = fleet.StatusRunning
	}
	return m
}

// mark changes the marks, on disk first.
func (b *box) mark(set map[string]string, unset []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.rec
	for _, key := range unset {
		if err := markRecord(&next, key, ""); err != nil {
			return err
		}
	}
	for key, value := range set {
		if err := markRecord(&next, key, value); err != nil {
			return err
		}
	}
	if err := writeRecord(b.dir, next); err != nil {
		return err
	}
	b.rec = next
	return nil
}

func markRecord(r *record, key, value string) error {
	switch key {
	case fleet.MarkPhase:
		r.Phase = fleet.Phase(value)
	case fleet.MarkHostKey:
		r.HostKey = value
	case fleet.MarkCached:
		r.CachedUntil = time.Time{}
		if value != "" {
			until, err := fleet.ParseCached(value)
			if err != nil {
				return err
			}
			r.CachedUntil = until
		}
	default:
		return fmt.Errorf("unknown mark %q", key)
	}
	return nil
}

// listenTCP listens on a port of the box. A supervisor that was killed a moment ago may
// still be letting go of it.
func listenTCP(p usedPort) (net.Listener, error) {
	deadline := time.Now().Add(time.Second)
	for {
		l, err := net.Listen("tcp", loopback(p.port))
		if err == nil {
			return l, nil
		}
		if !boxsim.IsInUse(err) || time.Now().After(deadline) {
			return nil, p.explain(err)
		}
		<-time.After(20 * time.Millisecond)
	}
}
