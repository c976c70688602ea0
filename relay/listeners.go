package relay

import (
	"slices"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/relayfleet/fleetctl/stats"
)

// listeners brings every wished address up by itself: libp2p's own start succeeds as
// soon as one of them does, and hides the others.
type listeners struct {
	wished []ma.Multiaddr

	mu    sync.Mutex
	bound []ma.Multiaddr // nil = down
	errs  []error
}

func newListeners(texts []string) (*listeners, error) {
	l := &listeners{bound: make([]ma.Multiaddr, len(texts)), errs: make([]error, len(texts))}
	for _, text := range texts {
		addr, err := parseListen(text)
		if err != nil {
			return nil, err
		}
		l.wished = append(l.wished, addr)
	}
	return l, nil
}

// open tries every address that is not up, and forgets what has gone down since. A
// port that was chosen by the system is asked for again.
func (l *listeners) open(n network.Network) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, want := range l.wished {
		before := n.ListenAddresses()
		if l.bound[i] != nil {
			if contains(before, l.bound[i]) {
				continue
			}
			want = l.bound[i]
		}
		if l.errs[i] = untaken(want, before); l.errs[i] == nil {
			l.errs[i] = n.Listen(want)
		}
		if l.errs[i] != nil {
			l.bound[i] = nil
			continue
		}
		l.bound[i] = want
		for _, addr := range n.ListenAddresses() {
			if !contains(before, addr) {
				l.bound[i] = addr
			}
		}
	}
}

// untaken binds a TCP port for a moment. libp2p's listener for plain TCP and WebSocket
// on one port shares it with any other process that shares.
func untaken(want ma.Multiaddr, ours []ma.Multiaddr) error {
	if want[1].Protocol().Code != ma.P_TCP {
		return nil
	}
	for _, addr := range ours {
		if addr[:2].Equal(want[:2]) {
			return nil
		}
	}
	probe, err := manet.Listen(want[:2])
	if err != nil {
		return err
	}
	return probe.Close()
}

// view lists the listeners in the order of the configuration.
func (l *listeners) view() []stats.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	views := make([]stats.Listener, len(l.wished))
	for i, addr := range l.wished {
		views[i] = stats.Listener{Address: addr.String(), Transport: transportOf(addr), Up: l.bound[i] != nil}
		if l.bound[i] != nil {
			views[i].Bound = l.bound[i].String()
		}
		if l.errs[i] != nil {
			views[i].Error = strings.Join(strings.Fields(l.errs[i].Error()), " ")
		}
	}
	return views
}

// sharesTCPPort reports whether plain TCP and WebSocket are wished on one address.
func (l *listeners) sharesTCPPort() bool {
	seen := make(map[string]string)
	for _, addr := range l.wished {
		if len(addr) < 2 || addr[1].Protocol().Code != ma.P_TCP || addr[1].Value() == "0" {
			continue
		}
		at, kind := addr[:2].String(), transportOf(addr)
		if other := seen[at]; other != "" && other != kind {
			return true
		}
		seen[at] = kind
	}
	return false
}

func contains(addrs []ma.Multiaddr, addr ma.Multiaddr) bool {
	return slices.ContainsFunc(addrs, addr.Equal)
}
