// Package rfctest is a primary DNS server in this process, for tests: it takes dynamic
// updates as RFC 2136 has them, demands TSIG signatures, transfers its zone, and fails
// where a test wants it to.
package rfctest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// The key that every [Server] knows.
const (
	KeyName   = "fleet"
	Algorithm = "hmac-sha256"
	Secret    = "c2VjcmV0LW9mLXRoZS1zdWl0ZS0xMjM0NTY3ODkwYWI=" //nolint:gosec // of tests
)

// Fault is what goes wrong with one update. The zero value is nothing.
type Fault struct {
	Rcode     int  // the answer; nothing is changed
	Lost      bool // nothing is changed or answered
	Ignored   bool // nothing is changed, and the answer says that it was
	Unsaid    bool // the update is made and not answered
	Unsigned  bool // the update is made, and the answer is not signed
	Truncated bool // the update is made, and half of the answer is sent
}

// Server is a primary of one zone. It is safe for concurrent use.
type Server struct {
	zone string
	addr string

	mu       sync.Mutex
	data     records
	serial   uint32
	updates  int
	moments  []map[string][]string
	refuse   bool // transfers
	foreign  bool // answers queries as a resolver would: without authority
	skew     time.Duration
	secret   string
	faults   func(n int) Fault
	keepTTL  bool
	oversize int
}

// Start serves an empty zone on a free port of loopback until the test ends.
func Start(t testing.TB, zone string) *Server {
	t.Helper()
	s := &Server{zone: dns.CanonicalName(zone), secret: Secret, serial: 1, data: make(records)}
	s.data.add(&dns.NS{Hdr: dns.RR_Header{Name: s.zone, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 300}, Ns: "ns." + s.zone})
	packets, stream, err := listen()
	if err != nil {
		t.Fatalf("rfctest: %v", err)
	}
	s.addr = stream.Addr().String()
	var g errgroup.Group
	for _, srv := range []*dns.Server{{PacketConn: packets}, {Listener: stream}} {
		srv.Handler, srv.TsigProvider = s, provider{s}
		srv.MsgAcceptFunc = func(h dns.Header) dns.MsgAcceptAction {
			if h.Bits&(1<<15) != 0 {
				return dns.MsgIgnore
			}
			return dns.MsgAccept
		}
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		g.Go(srv.ActivateAndServe)
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	t.Cleanup(func() { _ = packets.Close(); _ = stream.Close() })
	return s
}

// listen opens the same port for both.
func listen() (packets net.PacketConn, stream net.Listener, err error) {
	for range 20 {
		if stream, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if packets, err = net.ListenPacket("udp", stream.Addr().String()); err == nil {
			return packets, stream, nil
		}
		_ = stream.Close()
	}
	return nil, nil, fmt.Errorf("no port is free for both UDP and TCP: %w", err)
}

// Addr is where the server listens, host:port.
func (s *Server) Addr() string { return s.addr }

// Fail sets what goes wrong with the n-th update from now on, counted from 1; nil for
// nothing. What it does itself happens right before the update.
func (s *Server) Fail(faults func(n int) Fault) {
	s.set(func() { s.faults, s.updates = faults, 0 })
}

// RefuseTransfers makes the server refuse AXFR, or allow it again.
func (s *Server) RefuseTransfers(yes bool) { s.set(func() { s.refuse = yes }) }

// WithoutAuthority makes the server answer as a resolver does.
func (s *Server) WithoutAuthority() { s.set(func() { s.foreign = true }) }

// SetClock moves the server's clock.
func (s *Server) SetClock(ahead time.Duration) { s.set(func() { s.skew = ahead }) }

// SetSecret changes the server's idea of the key.
func (s *Server) SetSecret(base64 string) { s.set(func() { s.secret = base64 }) }

// KeepTTLs makes the server leave the TTL of a set as it is when something is added to it,
// as Knot does, against RFC 2136.
func (s *Server) KeepTTLs() { s.set(func() { s.keepTTL = true }) }

// MaxRecords makes the server refuse updates that leave more records than that at a name,
// as BIND does with 100.
func (s *Server) MaxRecords(n int) { s.set(func() { s.oversize = n }) }

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Put adds records as somebody else does, in the form of zone files.
func (s *Server) Put(t testing.TB, lines ...string) { s.edit(t, s.data.add, lines) }

// Delete removes records as somebody else does.
func (s *Server) Delete(t testing.TB, lines ...string) { s.edit(t, s.data.remove, lines) }

func (s *Server) edit(t testing.TB, do func(dns.RR), lines []string) {
	t.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("rfctest: %s: %v", line, err)
		}
		s.set(func() { do(rr); s.serial++ })
	}
}

// TXT lists the records of a name, each with its strings put together, sorted.
func (s *Server) TXT(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.texts(dns.CanonicalName(name))
}

// Updates is how many updates came since the last [Server.Fail], whatever became of them.
func (s *Server) Updates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

// Serial of the zone.
func (s *Server) Serial() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serial
}

// History is what stood at all names with TXT records after each update, oldest first.
func (s *Server) History() []map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moments)
}

// remember keeps the present state. The caller holds mu.
func (s *Server) remember() {
	now := make(map[string][]string)
	for name := range s.data {
		if texts := s.data.texts(name); len(texts) > 0 {
			now[strings.TrimSuffix(name, ".")] = texts
		}
	}
	s.moments = append(s.moments, now)
}

// provider signs with the key that the server knows at the moment.
type provider struct{ s *Server }

func (p provider) secret(name string) (string, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if dns.CanonicalName(name) != KeyName+"." {
		return "", dns.ErrSecret
	}
	return p.s.secret, nil
}

// records are those of a zone by name, lower case with the final dot, and type.
type records map[string]map[uint16][]dns.RR

func (r records) add(rr dns.RR) {
	name, kind := dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype
	if r[name] == nil {
		r[name] = make(map[uint16][]dns.RR)
	}
	rr.Header().Name = name
	for i, old := range r[name][kind] {
		if dns.IsDuplicate(old, rr) {
			r[name][kind][i] = rr
			return
		}
	}
	r[name][kind] = append(r[name][kind], rr)
}

func (r records) remove(rr dns.RR) {
	name, kind := dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype
	left := slices.DeleteFunc(slices.Clone(r[name][kind]), func(old dns.RR) bool { return dns.IsDuplicate(old, rr) })
	r.replace(name, kind, left)
}

func (r records) replace(name string, kind uint16, set []dns.RR) {
	if len(set) > 0 {
		r[name][kind] = set
		return
	}
	delete(r[name], kind)
	if len(r[name]) == 0 {
		delete(r, name)
	}
}

func (r records) clone() records {
	out := make(records, len(r))
	for name, kinds := range r {
		out[name] = maps.Clone(kinds)
		for kind, set := range kinds {
			out[name][kind] = make([]dns.RR, len(set))
			for i, rr := range set {
				out[name][kind][i] = dns.Copy(rr)
			}
		}
	}
	return out
}

func (r records) texts(name string) []string {
	out := []string{}
	for _, rr := range r[name][dns.TypeTXT] {
		if t, ok := rr.(*dns.TXT); ok {
			out = append(out, strings.Join(t.Txt, ""))
		}
	}
	slices.Sort(out)
	return out
}
