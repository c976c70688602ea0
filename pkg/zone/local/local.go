// Package local is a real DNS zone without an account: a file, and an authoritative
// server on loopback that answers from it.
//
// Both halves share a directory and nothing else. A [Zone] implements
// [dnsaddr.Zone]: it changes zone.json, one whole file for another, under a lock, so
// that a set of records never shows half of its changes; then it waits until the
// server answers with the result. A [Server] answers UDP and TCP queries on
// 127.0.0.1 from the file as it is at that moment: there is no cache that could be
// stale. They may live in different processes, and any number of Zones may write at
// once.
//
// The port is picked once and kept in the file "port", so that what was printed for
// clients stays true. A zone.json that cannot be read is moved aside under a name that says so
// and reported ([DamagedError]); it is never overwritten.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Limits of the local zone.
const (
	minTTL = time.Second
	maxTTL = 24 * time.Hour
)

// host on which the server listens.
const host = "127.0.0.1"

// Errors that callers branch on.
var (
	// ErrNotServed: the zone was written, but no server answers with it. It is a
	// [dnsaddr.ErrNotSeen].
	ErrNotServed error = notServed{}
	// ErrNotEmpty: the zone still holds records.
	ErrNotEmpty = errors.New("the zone still holds records")
	// ErrPortInUse: another program listens on the zone's port.
	ErrPortInUse = errors.New("the port is in use")
	// ErrOtherZone: the directory holds the zone of another domain, with records in it.
	ErrOtherZone = errors.New("the directory holds another zone")
)

type notServed struct{}

func (notServed) Error() string { return "the zone is not being served" }

func (notServed) Is(err error) bool { return err == dnsaddr.ErrNotSeen } //nolint:errorlint // what errors.Is asks for

// hinted is an error that says what its reader can do.
type hinted struct {
	error
	hint string
}

func (h *hinted) Hint() string  { return h.hint }
func (h *hinted) Unwrap() error { return h.error }

// DamagedError means that a zone file could not be read and was moved aside. The next
// read finds an empty zone.
type DamagedError struct {
	Aside string // where the damaged file is now
	Err   error  // what is wrong with it
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the zone file is damaged and was moved to %s: %v", e.Aside, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says how to go on.
func (e *DamagedError) Hint() string {
	return "run the same command again: it starts with an empty zone; records of others have to be copied from " + e.Aside
}

// hostPort of a server on loopback.
func hostPort(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

var _ dnsaddr.Zone = (*Zone)(nil)

// Limits implements [dnsaddr.Zone]: one second to one day.
func (z *Zone) Limits() dnsaddr.Limits { return dnsaddr.Limits{MinTTL: minTTL, MaxTTL: maxTTL} }

// Status implements [dnsaddr.Zone]. It asks the server for the zone's SOA record.
func (z *Zone) Status(ctx context.Context) dnsaddr.Status {
	s := dnsaddr.Status{Kind: "local"}
	port, err := readPort(z.dir)
	if err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Server = hostPort(port)
	f, err := load(z.dir)
	if err != nil {
		s.Reason = err.Error()
		return s
	}
	if _, err := askSerial(ctx, s.Server, z.apex, f.ID); err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Serving = true
	return s
}
