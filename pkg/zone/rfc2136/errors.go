package rfc2136

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// ErrConflict means that somebody else wrote to the same names at the same time, and did so again
// when the changes were planned anew. What was not written yet was not written.
var ErrConflict = errors.New("somebody else is writing to the same names")

// again advises whoever lost a race.
func again(err error) error {
	return fleet.WithHint(err, "run the same command again: it plans from what is there now")
}

// lostError is a message without an answer. If it was sent, it may have had its effect.
type lostError struct {
	server string
	sent   bool
	update bool
	err    error
}

func (e *lostError) Error() string {
	if e.sent {
		return fmt.Sprintf("%s does not answer: %v", e.server, e.err)
	}
	return fmt.Sprintf("%s cannot be reached: %v", e.server, e.err)
}

func (e *lostError) Unwrap() error { return e.err }

// Hint says where to look.
func (e *lostError) Hint() string {
	return "see whether the server runs there and takes DNS messages by TCP from here (dns.rfc2136.server)"
}

// codeError is an answer that says no.
type codeError struct {
	what   string // what was asked: "update of p2p.example"
	update bool
	code   int
}

func (e *codeError) Error() string {
	return fmt.Sprintf("the server answers %s to the %s", codeName(e.code), e.what)
}

func codeName(code int) string {
	if name, ok := dns.RcodeToString[code]; ok {
		return name
	}
	return fmt.Sprintf("code %d", code)
}

// is reports whether err is the answer to an update with one of the codes.
func is(err error, codes ...int) bool {
	var e *codeError
	if !errors.As(err, &e) || !e.update {
		return false
	}
	for _, c := range codes {
		if e.code == c {
			return true
		}
	}
	return false
}

// doubtful reports whether an update that failed may have had its effect.
func doubtful(err error) bool {
	var lost *lostError
	return errors.As(err, &lost) && lost.update && lost.sent || is(err, dns.RcodeServerFailure)
}

// overtaken reports whether an update was refused because the zone is not what was read.
func overtaken(err error) bool {
	return is(err, dns.RcodeNXRrset, dns.RcodeYXRrset, dns.RcodeNameError, dns.RcodeYXDomain)
}

// meaning gives the answer to an update what its reader needs.
func meaning(err error, zone, keyName string) error {
	switch {
	case overtaken(err):
		return fleet.WithHint(fmt.Errorf("%w: %w", ErrConflict, err),
			"run the same command again; if nobody else writes, a wildcard record answers for one of the names: let the key transfer the zone")
	case is(err, dns.RcodeRefused):
		return fleet.WithHint(fmt.Errorf("%w: %w", dnsaddr.ErrAuth, err),
			fmt.Sprintf("let key %q update TXT records in %s: in BIND update-policy { grant %s zonesub TXT; }, in Knot an acl with action: [update, transfer]", keyName, zone, keyName))
	case is(err, dns.RcodeNotAuth):
		return fleet.WithHint(fmt.Errorf("%w: %w", dnsaddr.ErrAuth, err),
			fmt.Sprintf("see whether the server is the primary of %s, and whether key %q may update it", zone, keyName))
	case is(err, dns.RcodeNotZone):
		return fleet.WithHint(err, fmt.Sprintf("see whether %s is the zone that holds the domain (dns.rfc2136.zone)", zone))
	case is(err, dns.RcodeNotImplemented):
		return fleet.WithHint(err, "name a primary that takes dynamic updates (dns.rfc2136.server); NSD does not")
	case is(err, dns.RcodeServerFailure):
		return fleet.WithHint(err, "the reason is in the server's log: a journal that cannot be written, or too many records at a name (max-records-per-type in BIND)")
	}
	return err
}
