package probe

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/miekg/dns"
	madns "github.com/multiformats/go-multiaddr-dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// nameServer answers with what a fleet publishes, on loopback.
type nameServer struct {
	addr    string // host:port
	network dnsaddr.Network

	mu      sync.Mutex
	answers dnsaddr.Answers
	asked   map[string]int // queries by "udp name" and "tcp name"
}

// serveNames runs a server of these answers until the test ends. Where the network has no
// TCP, nobody listens by TCP.
func serveNames(tb testing.TB, answers dnsaddr.Answers, network dnsaddr.Network) *nameServer {
	tb.Helper()
	s := &nameServer{network: network, answers: answers, asked: make(map[string]int)}
	packets, streams := onePort(tb)
	s.addr = packets.LocalAddr().String()
	s.run(tb, &dns.Server{PacketConn: packets, Handler: s.by("udp")})
	if network.NoTCP {
		if err := streams.Close(); err != nil {
			tb.Fatal(err)
		}
		return s
	}
	s.run(tb, &dns.Server{Listener: streams, Handler: s.by("tcp")})
	return s
}

// onePort is a port that is free by UDP and by TCP.
func onePort(tb testing.TB) (net.PacketConn, net.Listener) {
	tb.Helper()
	for try := 0; ; try++ {
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", streams.Addr().String())
		if err == nil {
			return packets, streams
		}
		_ = streams.Close()
		if try == 10 {
			tb.Fatal(err)
		}
	}
}

func (s *nameServer) run(tb testing.TB, server *dns.Server) {
	tb.Helper()
	ready, done := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { done <- server.ActivateAndServe() }()
	select {
	case <-ready:
	case err := <-done:
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			tb.Error(err)
		}
		<-done
	})
}

// by answers questions that came by UDP or by TCP.
func (s *nameServer) by(transport string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative, m.Compress = true, true
		limit := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			m.SetEdns0(dnsaddr.MaxEDNS, false)
			limit = min(int(opt.UDPSize()), s.network.UDP)
		}
		if transport == "tcp" {
			limit = dns.MaxMsgSize
		}
		name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
		s.mu.Lock()
		s.asked[transport+" "+name]++
		a, ok := s.answers[name]
		s.mu.Unlock()
		if !ok {
			m.Rcode = dns.RcodeNameError
		}
		for _, strs := range a.Texts {
			if q.Question[0].Qtype == dns.TypeTXT {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: strs})
			}
		}
		m.Truncate(limit)
		_ = w.WriteMsg(m) // the client sees that nothing came
	}
}

// queries are how many came for a name, by both transports.
func (s *nameServer) queries(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked["udp "+name] + s.asked["tcp "+name]
}

// resolver asks this server and no other, as Go programs do.
func (s *nameServer) resolver(tb testing.TB) swarm.ResolverFromMaDNS {
	tb.Helper()
	r, err := madns.NewResolver(madns.WithDefaultResolver(&net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 10 * time.Second}
			return d.DialContext(ctx, strings.TrimRight(network, "46"), s.addr)
		},
	}))
	if err != nil {
		tb.Fatal(err)
	}
	return swarm.ResolverFromMaDNS{Resolver: r}
}

// evenly spreads n nodes over as many regions as `dnsaddr lint` does.
func evenly(n int) []dnsaddr.Node {
	regions := min(n, max(3, n/200))
	nodes := make([]dnsaddr.Node, n)
	for i := range nodes {
		region, number := fmt.Sprintf("r%d", i%regions+1), i/regions+1
		nodes[i] = dnsaddr.Node{Name: fmt.Sprintf("%s-%d", region, number), Region: region, Number: number}
	}
	return nodes
}
