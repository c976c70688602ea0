// Package resolvetest runs DNS servers for tests: one that answers on loopback by UDP,
// TCP, TLS and HTTPS, says what the test tells it to, and can be as wrong as servers are.
package resolvetest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Answerer decides the answer to a question that came by "udp", "tcp", "tls" or "https".
// Nil is no answer. What does not fit is cut off by UDP afterwards.
type Answerer func(q *dns.Msg, by string) *dns.Msg

// Server is a DNS server that ends with its test.
type Server struct {
	Addr    string // host:port by UDP and TCP
	TLS     string // host:port by TLS
	URL     string // by HTTPS
	RootCAs *x509.CertPool
	CA      []byte // the same, PEM

	mu     sync.Mutex
	answer Answerer
	asked  []string
}

// Start runs a server. It answers by answer until [Server.Answer] says otherwise.
func Start(t *testing.T, answer Answerer) *Server {
	t.Helper()
	s := &Server{answer: answer}
	listener, packets := listen(t)
	s.Addr = listener.Addr().String()
	s.run(t, &dns.Server{Listener: listener}, "tcp")
	s.run(t, &dns.Server{PacketConn: packets}, "udp")
	cert := s.certify(t)
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = secure.Addr().String()
	s.run(t, &dns.Server{Listener: secure}, "tls")
	s.serveHTTPS(t, cert)
	return s
}

// Answer changes how the server answers from now on.
func (s *Server) Answer(answer Answerer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Asked lists the questions that came, "udp TXT name", in their order.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// listen opens UDP and TCP at one free port.
func listen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of a test
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String()) //nolint:noctx // of a test
		if err == nil {
			return l, p
		}
		_ = l.Close() // another port then
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func (s *Server) run(t *testing.T, server *dns.Server, by string) {
	t.Helper()
	ready, ended := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(ready) }
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := s.decide(q, by); m != nil {
			_ = w.WriteMsg(m) // the client may be gone
		}
	})
	go func() { ended <- server.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Errorf("end the DNS server: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("DNS server: %v", err)
		}
	})
}

func (s *Server) decide(q *dns.Msg, by string) *dns.Msg {
	s.mu.Lock()
	answer := s.answer
	if len(q.Question) == 1 {
		s.asked = append(s.asked, by+" "+dns.Type(q.Question[0].Qtype).String()+" "+q.Question[0].Name)
	}
	s.mu.Unlock()
	m := answer(q, by)
	if m != nil && by == "udp" {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		m.Truncate(size)
	}
	return m
}
