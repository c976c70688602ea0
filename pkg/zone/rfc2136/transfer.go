package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// Bounds of a transfer. A larger zone is read by queries.
const (
	transferBytes   = 64 << 20
	transferRecords = 1 << 20
)

// untransferred means that the zone has to be read by queries.
type untransferred struct{ why string }

func (e *untransferred) Error() string { return e.why }

// transfer reads the fleet's names in a transfer of the whole zone, of which no more is
// kept.
func (z *Zone) transfer(ctx context.Context, zone, entry string) (view, error) {
	k, err := z.openKey(ctx)
	if err != nil {
		return view{}, err
	}
	q := new(dns.Msg).SetAxfr(dns.Fqdn(zone))
	wire, mac, err := k.sign(q)
	if err != nil {
		return view{}, err
	}
	l, err := z.dial(ctx, "tcp", z.cfg.Waits.Transfer)
	if err != nil {
		return view{}, fmt.Errorf("transfer %s: %w", zone, err)
	}
	defer l.end()
	if _, err := l.conn.Write(wire); err != nil {
		return view{}, fmt.Errorf("transfer %s: %w", zone, z.lost(ctx, true, err))
	}
	s := newStream(zone, entry)
	buf := make([]byte, dns.MaxMsgSize)
	for stream := false; ; stream = true {
		n, err := l.conn.Read(buf)
		if err != nil {
			return view{}, fmt.Errorf("transfer %s: %w", zone, z.lost(ctx, true, err))
		}
		a := new(dns.Msg)
		if err := a.Unpack(buf[:n]); err != nil || !a.Response || a.Id != q.Id {
			return view{}, fmt.Errorf("transfer %s: %w", zone, z.lost(ctx, true, errors.New("what it answers cannot be read")))
		}
		if t := a.IsTsig(); t != nil && t.Error == dns.RcodeBadKey {
			// What Knot says to a key that may not transfer. One that it does not know
			// will not get an answer to a query either.
			return view{}, &untransferred{"the server answers BADKEY"}
		}
		if stream && a.Rcode == dns.RcodeSuccess && a.IsTsig() == nil {
			return view{}, &untransferred{"not every message of the transfer is signed"}
		}
		if mac, err = k.verify(buf[:n], a, mac, stream); err != nil {
			return view{}, fmt.Errorf("transfer %s: %w", zone, err)
		}
		if a.Rcode != dns.RcodeSuccess {
			return view{}, &untransferred{"the server answers " + codeName(a.Rcode)}
		}
		if done, err := s.take(n, a); err != nil || done {
			return s.view, err
		}
	}
}

// stream is a transfer that is being read.
type stream struct {
	zone, entry string // zone with the final dot
	view        view
	first       *dns.SOA
	records     int
	bytes       int
}

func newStream(zone, entry string) *stream {
	return &stream{zone: dns.Fqdn(zone), entry: entry, view: view{entry: entry, places: make(map[string]place)}}
}

// take reads one message, and reports whether it was the last: a zone begins and ends with
// the same SOA record.
func (s *stream) take(size int, a *dns.Msg) (done bool, err error) {
	s.bytes += size
	s.records += len(a.Answer)
	if s.bytes > transferBytes || s.records > transferRecords {
		return false, &untransferred{"the zone is too large for a transfer"}
	}
	for _, rr := range a.Answer {
		soa, isSOA := rr.(*dns.SOA)
		isSOA = isSOA && strings.EqualFold(soa.Hdr.Name, s.zone)
		switch {
		case done:
			return false, errors.New("transfer: something follows its end")
		case s.first == nil && !isSOA:
			return false, errors.New("transfer: it does not begin with the zone's SOA record")
		case s.first == nil:
			s.first = soa
		case isSOA && soa.Serial != s.first.Serial:
			return false, fmt.Errorf("transfer: it begins with serial %d and ends with %d", s.first.Serial, soa.Serial)
		case isSOA:
			done = true
		default:
			if err := s.record(rr); err != nil {
				return false, err
			}
		}
	}
	return done, nil
}

// record takes what is of the fleet.
func (s *stream) record(rr dns.RR) error {
	owner := strings.TrimSuffix(strings.ToLower(rr.Header().Name), ".")
	name, isMark := owner, false
	if rest, ok := strings.CutPrefix(owner, companion("")); ok {
		name, isMark = dnsaddr.Name(rest), true
	}
	switch rr := rr.(type) {
	case *dns.NS:
		if strings.EqualFold(rr.Hdr.Name, s.zone) {
			return nil
		}
		err := delegationError(s.entry, owner)
		if dns.IsSubDomain(rr.Hdr.Name, dns.Fqdn(s.entry)) {
			return err
		}
		s.close(name, isMark, err)
		// A list and its companion are both right below the list's own domain.
		s.close(dnsaddr.Name(owner), false, err)
	case *dns.DNAME:
		err := fleet.WithHint(fmt.Errorf("%s is an alias (DNAME) of %s: no record can stand below it", owner, strings.TrimSuffix(rr.Target, ".")),
			"delete the DNAME record, or choose another dns.domain")
		if owner != s.entry && dns.IsSubDomain(rr.Hdr.Name, dns.Fqdn(s.entry)) {
			return err
		}
		s.close(dnsaddr.Name(owner), false, err) // it is one of everything below its name
	case *dns.CNAME:
		s.close(name, isMark, aliasError(owner, rr.Target))
	case *dns.TXT:
		if !dnsaddr.OfFleet(s.entry, name) {
			return nil
		}
		p := s.view.places[name]
		if isMark {
			p.marks.keep(rr)
		} else {
			p.values.keep(rr)
		}
		s.view.places[name] = p
	}
	return nil
}

// close notes why no record can stand at a name, or at its companion, if it is of the fleet.
func (s *stream) close(name string, isMark bool, why error) {
	if !dnsaddr.OfFleet(s.entry, name) {
		return
	}
	p := s.view.places[name]
	if isMark {
		p.marks.closed = why
	} else {
		p.values.closed = why
	}
	s.view.places[name] = p
}
