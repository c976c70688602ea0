package box

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// network gives away the addresses of 127.X.0.0/16, each once. X belongs to one network
// of this computer at a time: a socket with a name, which goes with its process.
type network struct {
	mu    sync.Mutex
	claim net.Listener
	x     byte
	last  int
}

// errOneAddress is the answer of systems on which only 127.0.0.1 can be used.
var errOneAddress = errors.New("simulated droplets need loopback addresses of their own, which this system does not have")

// join takes an address, and listens there on the port of SSH.
func (n *network) join(port int) (netip.Addr, net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if runtime.GOOS != "linux" {
		return netip.Addr{}, nil, fleet.WithHint(errOneAddress, "Run it on Linux.")
	}
	if err := n.take(); err != nil {
		return netip.Addr{}, nil, err
	}
	const tries = 16 // what was left by a process that was killed may listen on some
	var last error
	for range tries {
		n.last++
		if n.last > 254*256 {
			break
		}
		addr := netip.AddrFrom4([4]byte{127, n.x, byte(n.last / 254), byte(n.last%254 + 1)})
		l, err := listen(addr, port)
		if err == nil {
			return addr, l, nil
		}
		if last = err; !boxsim.IsInUse(err) {
			break
		}
	}
	return netip.Addr{}, nil, fleet.WithHint(fmt.Errorf("no free address: %w", last),
		"Let the droplets' SSH listen on another port, above 1023: digitalocean.ssh_port in fleet.yaml.")
}

// listen listens for SSH on an address where nothing of a machine listens yet.
func listen(addr netip.Addr, port int) (net.Listener, error) {
	api, err := net.Listen("tcp", netip.AddrPortFrom(addr, apiPort).String())
	if err != nil {
		return nil, err
	}
	if err := api.Close(); err != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
}

// take claims an X that nobody has.
func (n *network) take() error {
	if n.claim != nil {
		return nil
	}
	const first, count = 16, 224
	begin := rand.IntN(count) // #nosec G404 -- only to begin in different places
	for i := range count {
		x := first + (begin+i)%count
		l, err := net.Listen("unix", "@fleetctl-dotest-127."+strconv.Itoa(x))
		if err == nil {
			n.claim, n.x = l, byte(x)
			return nil
		}
		if !boxsim.IsInUse(err) {
			return fmt.Errorf("claim a network: %w", err)
		}
	}
	return errors.New("claim a network: every one between 127.16.0.0 and 127.239.0.0 is taken")
}

func (n *network) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.claim == nil {
		return nil
	}
	err := n.claim.Close()
	n.claim = nil
	return err
}
