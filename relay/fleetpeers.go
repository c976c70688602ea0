package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	maxFleetPeersBytes = 1 << 20
	maxFleetPeers      = 1000
	fleetTag           = "fleet"
	redialAfter        = 10 * time.Second
)

// parseFleetPeers reads fleet-peers.txt: one multiaddr with /p2p/ per line, # begins
// a comment. Lines of one peer are put together. Lines that cannot be read are left
// out and named by the error, which comes beside the rest.
func parseFleetPeers(text []byte) ([]peer.AddrInfo, error) {
	var infos []peer.AddrInfo
	var bad []error
	at := make(map[peer.ID]int)
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		addr, err := ma.NewMultiaddr(line)
		var info *peer.AddrInfo
		if err == nil {
			info, err = peer.AddrInfoFromP2pAddr(addr)
		}
		if err == nil && len(info.Addrs) == 0 {
			err = errors.New("no transport address")
		}
		if err != nil {
			if len(bad) < 3 {
				bad = append(bad, fmt.Errorf("line %d: %.100q: %w", i+1, line, err))
			}
			continue
		}
		if n, ok := at[info.ID]; ok {
			infos[n].Addrs = append(infos[n].Addrs, info.Addrs...)
			continue
		}
		if len(infos) == maxFleetPeers {
			bad = append(bad, fmt.Errorf("line %d: more than %d peers", i+1, maxFleetPeers))
			break
		}
		at[info.ID] = len(infos)
		infos = append(infos, *info)
	}
	return infos, errors.Join(bad...)
}

// fleetPeers are the fleet's other relays, as fleet-peers.txt names them.
type fleetPeers struct {
	path   string
	self   peer.ID
	ledger *ledger
	log    *slog.Logger

	mu    sync.Mutex
	text  []byte // as read last; nil before the first time
	infos []peer.AddrInfo
	bad   error
	tried map[peer.ID]time.Time

	protected map[peer.ID]bool
}

func newFleetPeers(dir string, self peer.ID, l *ledger, log *slog.Logger) *fleetPeers {
	return &fleetPeers{path: filepath.Join(dir, fleetPeersFile), self: self, ledger: l, log: log, tried: make(map[peer.ID]time.Time)}
}

// reread takes a changed file in and reports whether it changed. A file that is gone
// names nobody; one that cannot be read changes nothing.
func (f *fleetPeers) reread() bool {
	text, err := readBounded(f.path, maxFleetPeersBytes)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.bad = err
		return false
	}
	if bytes.Equal(text, f.text) && f.text != nil {
		return false
	}
	infos, bad := parseFleetPeers(text)
	infos = slices.DeleteFunc(infos, func(i peer.AddrInfo) bool { return i.ID == f.self })
	f.text, f.infos, f.bad = append([]byte{}, text...), infos, bad
	clear(f.tried)
	ids := make([]peer.ID, 0, len(infos))
	for _, info := range infos {
		ids = append(ids, info.ID)
	}
	f.ledger.setFleet(ids)
	f.log.Info("fleet peers read", slog.Int("peers", len(infos)))
	if bad != nil {
		f.log.Warn("fleet peers unreadable in part", slog.Any("cause", bad))
	}
	return true
}

// list is also Kademlia's bootstrap list.
func (f *fleetPeers) list() []peer.AddrInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.infos)
}

func (f *fleetPeers) complaints() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad == nil {
		return nil
	}
	return []string{fleetPeersFile + ": " + strings.ReplaceAll(f.bad.Error(), "\n", "; ")}
}

// dial connects to those that are not connected and were not tried just now, and
// waits for the attempts.
func (f *fleetPeers) dial(ctx context.Context, h host.Host, now time.Time) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	slots := make(chan struct{}, 8)
	for _, info := range f.due(h, now) {
		waiting.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
			defer cancel()
			if err := h.Connect(ctx, info); err != nil && ctx.Err() == nil {
				f.log.Debug("fleet peer does not answer", slog.String("peer", info.ID.String()), slog.Any("cause", err))
			}
		})
	}
}

// protect keeps the connections of the fleet's peers when the host trims, and of no
// others any more.
func (f *fleetPeers) protect(h host.Host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := make(map[peer.ID]bool, len(f.infos))
	for _, info := range f.infos {
		now[info.ID] = true
		h.ConnManager().Protect(info.ID, fleetTag)
	}
	for p := range f.protected {
		if !now[p] {
			h.ConnManager().Unprotect(p, fleetTag)
		}
	}
	f.protected = now
}

func (f *fleetPeers) due(h host.Host, now time.Time) []peer.AddrInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due []peer.AddrInfo
	for _, info := range f.infos {
		if h.Network().Connectedness(info.ID) == network.Connected || now.Sub(f.tried[info.ID]) < redialAfter {
			continue
		}
		f.tried[info.ID] = now
		due = append(due, info)
	}
	return due
}
