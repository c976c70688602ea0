package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// Service is something that lives beside the boxes as long as the supervisor does: the
// local zone's DNS server. Run returns when ctx ends. One that ends before is started
// again, after a pause.
type Service interface {
	Run(ctx context.Context) error
}

// SupervisorConfig is what a supervisor works with.
type SupervisorConfig struct {
	// Dir is the fleet's directory, absolute.
	Dir string
	// Services live beside the boxes.
	Services []Service
	// StopGrace is how long a relay may take to stop before it is killed; zero means 45 s.
	StopGrace time.Duration
	// Log gets what the data centre's staff would know. Nil discards it.
	Log *slog.Logger
}

// Supervisor plays the data centre for one fleet. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg SupervisorConfig
	log *slog.Logger

	stop func() // ends Run; set by Run

	create sync.Mutex // one new box at a time
	mu     sync.Mutex // guards the rest
	boxes  map[string]*box
	ending bool
}

// NewSupervisor returns a supervisor. Nothing happens before Run.
func NewSupervisor(cfg SupervisorConfig) *Supervisor {
	if cfg.StopGrace == 0 {
		cfg.StopGrace = 45 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Supervisor{cfg: cfg, log: cfg.Log, boxes: make(map[string]*box)}
}

// ErrSupervised means that another supervisor has the directory.
var ErrSupervised = errors.New("the fleet has a supervisor already")

// Run takes the fleet's directory, switches on every box that is there, adopts the relays
// that run, and answers its [Provider] until ctx ends or Cleanup asks it to stop. Relays
// go on when it returns. It may be called once.
func (s *Supervisor) Run(ctx context.Context) (err error) {
	if err := supported(); err != nil {
		return fmt.Errorf("supervise %s: %w", s.cfg.Dir, err)
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("supervise %s: %w", s.cfg.Dir, err)
	}
	return nil
}

func (s *Supervisor) run(ctx context.Context) (err error) {
	if !filepath.IsAbs(s.cfg.Dir) {
		return errors.New("the directory must be absolute")
	}
	if err := os.MkdirAll(filepath.Join(s.cfg.Dir, boxesDir), 0o700); err != nil {
		return boxsim.Explain(err)
	}
	taking, cancelTaking := context.WithTimeout(ctx, 2*time.Second) // the one before may be on its way out
	lock, err := lockPath(taking, filepath.Join(s.cfg.Dir, lockFile))
	cancelTaking()
	if errors.Is(err, errLocked) {
		return ErrSupervised
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.stop = cancel
	me, listener, err := s.listen()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.forget(me)) }()
	defer func() { _ = listener.Close() }()
	s.sweep()
	if err := s.powerOn(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.powerOff()) }()
	if err := boxsim.WriteJSON(filepath.Join(s.cfg.Dir, infoFile), me); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "supervising", slog.String("dir", s.cfg.Dir), slog.Int("boxes", len(s.boxes)))
	return s.work(ctx, me, listener)
}

// work runs everything that lives as long as the supervisor.
func (s *Supervisor) work(ctx context.Context, me info, listener net.Listener) error {
	var g sync.WaitGroup
	defer g.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, svc := range s.cfg.Services {
		g.Go(func() { s.keep(ctx, svc) })
	}
	g.Go(func() { s.watch(ctx) })
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	g.Go(func() {
		<-ctx.Done()
		s.mu.Lock()
		s.ending = true
		s.mu.Unlock()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopGrace+15*time.Second)
		defer cancel()
		_ = server.Shutdown(ending)
	})
	g.Go(func() { s.guardSocket(ctx, me, server) })
	err := server.Serve(listener)
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// keep runs a service again and again.
func (s *Supervisor) keep(ctx context.Context, svc Service) {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		begun := time.Now()
		err := svc.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		s.log.ErrorContext(ctx, "service ended", slog.String("service", fmt.Sprintf("%T", svc)), slog.Any("error", err))
		if time.Since(begun) > time.Minute {
			pause = 100 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// watch looks after relays that end, and journals that grow.
func (s *Supervisor) watch(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, b := range s.all() {
			b.unit.Poll()
			if err := b.unit.Journal.Rotate(); err != nil {
				s.log.WarnContext(ctx, "journal was not rotated", slog.String("box", b.id), slog.Any("error", err))
			}
		}
	}
}

// powerOn switches on every box. One whose port is taken stays off: Start says why.
func (s *Supervisor) powerOn(ctx context.Context) error {
	records, _, err := readRecords(s.cfg.Dir)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, r := range records {
		g.Go(func() error {
			b, err := s.open(r.ID)
			if err == nil {
				err = b.powerOn(ctx)
			}
			if err != nil {
				s.log.ErrorContext(ctx, "box stays off", slog.String("box", r.ID), slog.Any("error", err))
			}
			return nil
		})
	}
	return g.Wait()
}

// open returns a box, reading it from disk where it is not known yet. A box that is not
// there is [fleet.ErrNoMachine].
func (s *Supervisor) open(id string) (*box, error) {
	if err := checkName("machine", id); err != nil {
		return nil, errors.Join(fleet.ErrNoMachine, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.boxes[id]; ok {
		return b, nil
	}
	b, err := openBox(boxDir(s.cfg.Dir, id), s.keys, s.cfg.StopGrace, s.log)
	if errors.Is(err, os.ErrNotExist) {
		if _, statErr := os.Stat(filepath.Join(boxDir(s.cfg.Dir, id), machineFile)); errors.Is(statErr, os.ErrNotExist) {
			return nil, fleet.ErrNoMachine
		}
	}
	if err != nil {
		return nil, err
	}
	s.boxes[id] = b
	return b, nil
}

// all lists the boxes that are known.
func (s *Supervisor) all() []*box {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*box, 0, len(s.boxes))
	for _, b := range s.boxes {
		out = append(out, b)
	}
	return out
}

func (s *Supervisor) keys() ([]ssh.PublicKey, error) {
	return readKeys(filepath.Join(s.cfg.Dir, authorizedFile))
}

// powerOff ends what is served for the boxes; their relays go on.
func (s *Supervisor) powerOff() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, b := range s.all() {
		errs = append(errs, b.powerOff(ctx), b.jail.Close())
	}
	return errors.Join(errs...)
}
