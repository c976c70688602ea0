package sshx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Addrs lists the addresses (host:port) that have a pin, sorted. Names that others hashed,
// and patterns, are left out.
func (p *Pins) Addrs() ([]string, error) {
	rest, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pins: %w", err)
	}
	var addrs []string
	for {
		marker, hosts, _, _, next, err := ssh.ParseKnownHosts(rest)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("pins: %s: %w", p.path, err)
		}
		rest = next
		for _, name := range hosts {
			host, port, err := net.SplitHostPort(name)
			if err != nil {
				host, port = strings.Trim(name, "[]"), "22"
			}
			if addr := net.JoinHostPort(host, port); marker == "" && checkAddr(addr) == nil {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs), nil
}
