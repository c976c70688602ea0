package local

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// Ports of boxes lie in this range: above what services use, below what systems hand
// out by themselves (from 32768 on Linux, 49152 on macOS).
const (
	firstPort = 20000
	lastPort  = 31999
)

// usedPort is a port with what it is for.
type usedPort struct {
	port    int
	network string // "tcp" or "udp"
	what    string
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// free is an error that names the port if something listens there.
func (p usedPort) free() error {
	var err error
	if p.network == "udp" {
		var c net.PacketConn
		if c, err = net.ListenPacket("udp", loopback(p.port)); err == nil {
			return c.Close()
		}
	} else {
		var l net.Listener
		if l, err = net.Listen("tcp", loopback(p.port)); err == nil {
			return l.Close()
		}
	}
	return p.explain(err)
}

func (p usedPort) explain(err error) error {
	err = fmt.Errorf("port %d (%s, %s): %w", p.port, p.what, p.network, err)
	if !boxsim.IsInUse(err) {
		return err
	}
	return fleet.WithHint(err, fmt.Sprintf("End the process that listens on 127.0.0.1:%d, then run the same command again.", p.port))
}

// untouched reports whether nothing uses a port, on TCP nor on UDP, on any address.
func untouched(port int) bool {
	for _, network := range []string{"tcp", "udp"} {
		if (usedPort{port: port, network: network}).free() != nil {
			return false
		}
	}
	c, err := net.DialTimeout("tcp", loopback(port), time.Second) //nolint:noctx // a listener on all addresses; loopback answers at once
	if err == nil {
		_ = c.Close()
	}
	return err != nil
}

// portBook says which ports are promised to which box, of whichever fleet of this user:
// a box that is switched off keeps its own. It is a file in the runtime directory, used
// under its lock.
type portBook map[int]string // the directory of the box

const bookFile = "ports.json"

// readBook reads the book and forgets boxes that are gone. A damaged one is begun anew:
// what listens is found out anyway.
func readBook(runtimeDir string) portBook {
	book := portBook{}
	if err := boxsim.ReadJSON(filepath.Join(runtimeDir, bookFile), &book); err != nil {
		return portBook{} // missing or damaged
	}
	for port, dir := range book {
		_, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			delete(book, port)
		}
	}
	return book
}

// withPorts picks n ports that nobody uses and nobody was promised, lets use make the
// box of them, and promises them to it. Two fleets at once wait for each other.
func withPorts(ctx context.Context, runtimeDir, box string, n int, taken map[int]bool, use func([]int) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	lock, err := lockPath(ctx, filepath.Join(runtimeDir, "ports.lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	book := readBook(runtimeDir)
	ports, err := pick(box, n, func(port int) bool { return book[port] == "" && !taken[port] && untouched(port) })
	if err != nil {
		return err
	}
	if err := use(ports); err != nil {
		return err
	}
	for _, p := range ports {
		book[p] = box
	}
	return boxsim.WriteJSON(filepath.Join(runtimeDir, bookFile), book)
}

// pick takes the first n good ports, from a place in the range that depends on seed, so
// that two users, who cannot see each other's book, begin in different places.
func pick(seed string, n int, good func(int) bool) ([]int, error) {
	const size = lastPort - firstPort + 1
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed))
	at := int(h.Sum32() % size)
	var ports []int
	for i := range size {
		port := firstPort + (at+i)%size
		if !good(port) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, firstPort, lastPort)
}
