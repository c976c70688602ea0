package local

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// portFile keeps the port of the zone's server.
const portFile = "port"

// Ports are picked from this range: below the ephemeral ones, and apart from those of
// local boxes (package pkg/provider/local), which are promised before they are bound.
const (
	minPort = 16000
	maxPort = 19999
)

// readPort returns the port that was picked.
func readPort(dir string) (int, error) {
	path := filepath.Join(dir, portFile)
	text, err := os.ReadFile(path) //nolint:gosec // G304: the path is the caller's own state directory.
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("no server of the zone was ever started: %w", err)
	}
	if err != nil {
		return 0, fmt.Errorf("read port: %w", err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port < 1 || port > 65535 {
		return 0, &hinted{fmt.Errorf("read port: %s: %q is no port", path, text), "remove " + path + ": another port is picked then"}
	}
	return port, nil
}

// sockets are what one server listens on: the same port by UDP and TCP.
type sockets struct {
	udp net.PacketConn
	tcp net.Listener
}

func (s sockets) close() error { return errors.Join(s.udp.Close(), s.tcp.Close()) }

// bind listens on a port of loopback.
func bind(port int) (sockets, error) {
	tcp, err := net.Listen("tcp4", hostPort(port))
	if err != nil {
		return sockets{}, err
	}
	udp, err := net.ListenPacket("udp4", hostPort(port))
	if err != nil {
		return sockets{}, errors.Join(err, tcp.Close())
	}
	return sockets{udp, tcp}, nil
}

// listen binds the port of the directory, and picks one if there is none yet. The
// caller holds the lock of the directory.
func listen(dir string) (sockets, int, error) {
	port, err := readPort(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return pick(dir)
	case err != nil:
		return sockets{}, 0, err
	}
	s, err := bind(port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return sockets{}, 0, &hinted{
			fmt.Errorf("serve zone: %s: %w", hostPort(port), ErrPortInUse),
			"end the program that listens there, or remove " + filepath.Join(dir, portFile) + " to have another port picked",
		}
	}
	if err != nil {
		return sockets{}, 0, fmt.Errorf("serve zone: %w", err)
	}
	return s, port, nil
}

// pick finds a port that is free by UDP and by TCP, and keeps it.
func pick(dir string) (sockets, int, error) {
	const tries = 100
	var last error
	for range tries {
		port := minPort + rand.IntN(maxPort-minPort+1) //nolint:gosec // G404: not a secret
		s, err := bind(port)
		if err != nil {
			last = err
			continue
		}
		if err := writeFile(filepath.Join(dir, portFile), []byte(strconv.Itoa(port)+"\n")); err != nil {
			return sockets{}, 0, errors.Join(err, s.close())
		}
		return s, port, nil
	}
	return sockets{}, 0, fmt.Errorf("serve zone: no free port in %d..%d: %w", minPort, maxPort, last)
}
