package resolve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Transport is a way that questions and answers go.
type Transport string

// The transports.
const (
	Plain Transport = "dns"   // UDP, and TCP if the answer does not fit: what most clients do
	UDP   Transport = "udp"   // alone: an answer that does not fit is cut off
	TCP   Transport = "tcp"   // alone
	TLS   Transport = "tls"   // RFC 7858
	HTTPS Transport = "https" // RFC 8484
)

// Server is a DNS server and the way to ask it.
type Server struct {
	Transport Transport
	Addr      string // host:port; of HTTPS only for people
	URL       string // of HTTPS alone
}

// ErrBadServer is wrapped by the errors of [ParseServer].
var ErrBadServer = errors.New("not a DNS server")

// ParseServer reads a server as people write it: host or host:port, asked by UDP and TCP;
// udp://host, tcp://host; tls://host; https://host/path. Without a port it is 53, 853 or
// 443, without a path /dns-query.
func ParseServer(text string) (Server, error) {
	bad := func(why string) (Server, error) {
		return Server{}, fmt.Errorf("%w: %q: %s", ErrBadServer, text, why)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = string(Plain), text
	}
	s := Server{Transport: Transport(scheme)}
	switch s.Transport {
	case Plain, UDP, TCP:
		s.Addr = withPort(rest, "53")
	case TLS:
		s.Addr = withPort(rest, "853")
	case HTTPS:
		u, err := url.Parse(text)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return bad("want https://host/path")
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/dns-query"
		}
		s.Addr, s.URL = withPort(u.Host, "443"), u.String()
	default:
		return bad("accepted are host:port, udp://, tcp://, tls:// and https://")
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return bad("want a host and a port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return bad("its port is none")
	}
	if _, err := netip.ParseAddr(host); err != nil && dnsaddr.CheckName(host) != nil {
		return bad("its host is no address and no name")
	}
	return s, nil
}

// withPort adds a port where there is none.
func withPort(host, port string) string {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return net.JoinHostPort(addr.String(), port)
	}
	if strings.Contains(host, ":") {
		return host
	}
	return net.JoinHostPort(host, port)
}

// String is the server as [ParseServer] reads it; one that is asked by UDP and TCP is
// host:port.
func (s Server) String() string {
	switch s.Transport {
	case HTTPS:
		return s.URL
	case Plain, "":
		return s.Addr
	}
	return string(s.Transport) + "://" + s.Addr
}

// By is the same host asked in another way, at that way's own port if it has one: TLS at
// 853, HTTPS at 443 under /dns-query.
func (s Server) By(t Transport) Server {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		host = s.Addr
	}
	switch t {
	case TLS:
		return Server{Transport: t, Addr: net.JoinHostPort(host, "853")}
	case HTTPS:
		u := url.URL{Scheme: "https", Host: host, Path: "/dns-query"}
		if strings.Contains(host, ":") {
			u.Host = "[" + host + "]"
		}
		return Server{Transport: t, Addr: net.JoinHostPort(host, "443"), URL: u.String()}
	}
	return Server{Transport: t, Addr: s.Addr}
}
