// Package hosts is the provider of machines that somebody else made: the entries of
// "hosts:" in fleet.yaml. It lists them, and never creates, starts or deletes one.
//
// What other providers keep in tags stands in a file on the box, [MarksFile] in the
// relay's state directory: whose the box is, and whether its relay was only adopted.
// The file is read over SSH with a pinned host key. A box whose file cannot be read,
// or says that the box is another fleet's, is listed with the reason as its
// [fleet.Machine.Problem]: it keeps its slot and its record, nothing is done to it,
// and the others go on.
//
// A host has no way out of the fleet but down, so a phase is accepted by Mark and not
// kept: it holds its slot as long as the list names it, and a down that was cut off
// waits its whole TTL again. Nor is a host key: a box, and whoever can write the file
// there, would vouch for itself. What is trusted is pinned, by adopt.
package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Config is what a provider works with.
type Config struct {
	// Fleet is the fleet's name, ID its ID or "".
	Fleet, ID string
	// Hosts are complete: their nodes, ports, users and state directories are set.
	Hosts []fleet.HostSpec
	// Runner runs commands and reads and writes files on the boxes.
	Runner sshx.Runner
	// Resolve finds the addresses of a name. Nil asks the system.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	// Path makes the path of a key file, as the spec has it, absolute. Nil leaves it as it is.
	Path func(path string) string
	// Timeout bounds what is asked of one box; zero means 10 s.
	Timeout time.Duration
}

// Provider lists hosts and keeps their marks. It is safe for concurrent use, and so are
// several of them over the same hosts.
type Provider struct{ cfg Config }

var _ fleet.Provider = (*Provider)(nil)

// New returns a provider. Nothing is resolved or dialed before it is used.
func New(cfg Config) (*Provider, error) {
	if cfg.Fleet == "" || cfg.Runner == nil {
		return nil, errors.New("provider hosts: a fleet's name and a runner are needed")
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if cfg.Path == nil {
		cfg.Path = func(path string) string { return path }
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &Provider{cfg: cfg}, nil
}

// id is how the provider calls a host: its address and port as they are written.
func id(h fleet.HostSpec) string {
	return net.JoinHostPort(strings.ToLower(h.Address), strconv.Itoa(h.Port))
}

// find is the entry with an ID.
func (p *Provider) find(machine string) (fleet.HostSpec, error) {
	for _, h := range p.cfg.Hosts {
		if id(h) == machine {
			return h, nil
		}
	}
	return fleet.HostSpec{}, fmt.Errorf("%q: %w", machine, fleet.ErrNoMachine)
}

// machine is a host as its entry says, without what its box says.
func (p *Provider) machine(h fleet.HostSpec) fleet.Machine {
	m := fleet.Machine{
		ID: id(h), Name: h.Address, Fleet: p.cfg.Fleet, Node: h.Node, Region: h.Region,
		Status: fleet.StatusRunning, Addrs: []netip.Addr{}, Ports: fleet.Ports{SSH: h.Port},
		User: h.User, Sudo: h.User != "root", Jump: h.Jump,
		Labels: slices.Clone(h.Labels), Service: h.Service, Given: true,
	}
	if h.State != fleet.StateDir {
		m.State = h.State // where it is "", nothing of others is there to be taken over
	}
	if h.Key != "" {
		m.Key = p.cfg.Path(h.Key)
	}
	return m
}

// maxAddrs bounds the addresses of one name.
const maxAddrs = 8

// addrs are the addresses of a host, IPv4 first.
func (p *Provider) addrs(ctx context.Context, h fleet.HostSpec) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(h.Address); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	found, err := p.cfg.Resolve(ctx, h.Address)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", h.Address, err)
	}
	for i, ip := range found {
		found[i] = ip.Unmap().WithZone("")
	}
	slices.SortFunc(found, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(a.BitLen(), b.BitLen()), a.Compare(b))
	})
	found = slices.Compact(found)
	return found[:min(len(found), maxAddrs)], nil
}
