package local

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// listen opens the socket of a supervisor that has the lock.
func (s *Supervisor) listen() (info, net.Listener, error) {
	me, err := boxsim.Identify(os.Getpid())
	if err != nil {
		return info{}, nil, err
	}
	for try := 1; ; try++ {
		dir, err := runtimeDir()
		if err != nil {
			return info{}, nil, err
		}
		path := socketPath(dir, s.cfg.Dir)
		l, err := listenSocket(path)
		if errors.Is(err, os.ErrNotExist) && try < 5 {
			continue // another fleet, the last one, has just taken the directory away
		}
		if err != nil {
			return info{}, nil, err
		}
		return info{Proc: me, Socket: path, Dir: s.cfg.Dir}, l, nil
	}
}

// listenSocket replaces what a killed supervisor left: who has the lock has the socket.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// guardSocket opens the socket anew when a cleaner of temporary files took it away.
func (s *Supervisor) guardSocket(ctx context.Context, me info, server *http.Server) {
	var g sync.WaitGroup
	defer g.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Lstat(me.Socket); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		if _, err := runtimeDir(); err != nil {
			continue
		}
		l, err := listenSocket(me.Socket)
		if err != nil {
			s.log.WarnContext(ctx, "the socket is gone and cannot be made again", slog.Any("error", err))
			continue
		}
		g.Go(func() { _ = server.Serve(l) })
	}
}

// forget removes what says that this supervisor lives.
func (s *Supervisor) forget(me info) error {
	var errs []error
	for _, path := range []string{filepath.Join(s.cfg.Dir, infoFile), me.Socket} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
