package dnsaddr

import (
	"cmp"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// likeJS resolves as js-libp2p does in Node: whatever follows a "=" is taken for an
// address, each character-string by itself, and one that is none ends the resolution.
func (a *asking) likeJS(domain, id string) {
	all, failed := a.jsLevel(domain, id, a.habits.depth)
	if failed != "" {
		a.out.Failed = failed
		return
	}
	seen := make(map[string]bool, len(all))
	var dial []value
	for _, v := range all {
		switch {
		case seen[v.addr] || id != "" && v.id != "" && v.id != id:
		case !a.speaks(v.m):
			a.unspoken = append(a.unspoken, v)
		default:
			seen[v.addr] = true
			dial = append(dial, v)
		}
	}
	slices.SortStableFunc(dial, func(x, y value) int { return cmp.Compare(jsRank(x.m), jsRank(y.m)) })
	a.dial(domain, dial)
}

func (a *asking) jsLevel(domain, id string, depth int) (all []value, failed Reason) {
	s, failed := a.ask(domain)
	if failed != "" {
		return nil, failed
	}
	for _, t := range s.texts {
		for i, v := range t.each {
			switch {
			case v.kind == foreign: // without "="
				if i > 0 {
					a.lose(s.name, LostStrings, 1)
				}
			case id != "" && !strings.Contains(v.addr, id):
			case v.kind == malformed:
				a.lose(s.name, why(t), len(s.texts))
				return nil, why(t)
			case v.pointer == "":
				all = append(all, v)
			case depth <= 1:
				return nil, LostPointer
			default:
				behind, failed := a.jsLevel(v.pointer, v.id, depth-1)
				if failed != "" {
					return nil, failed
				}
				all = append(all, behind...)
			}
		}
	}
	return all, ""
}

// why a text that js-libp2p takes for an address is none.
func why(t text) Reason {
	switch {
	case len(t.strs) > 1:
		return LostStrings
	case t.whole.kind == foreign:
		return LostForeign
	}
	return LostMalformed
}

// jsRank orders addresses as js-libp2p dials them: those of the internet first, TCP
// before WebSocket.
func jsRank(m ma.Multiaddr) int {
	rank := 0
	switch {
	case manet.IsIPLoopback(m):
		rank = 20
	case manet.IsPrivateAddr(m):
		rank = 10
	}
	for _, c := range m {
		switch c.Code() {
		case ma.P_WSS, ma.P_TLS:
			return rank + 1
		case ma.P_WS:
			return rank + 2
		}
	}
	return rank
}

// speaks reports whether the family dials such an address. WebTransport and WebRTC
// stay out of DNS, and nobody dials them here.
func (a *asking) speaks(m ma.Multiaddr) bool {
	for _, c := range m {
		switch c.Code() {
		case ma.P_QUIC_V1:
			if !a.habits.udp {
				return false
			}
		case ma.P_QUIC, ma.P_WEBTRANSPORT, ma.P_WEBRTC, ma.P_WEBRTC_DIRECT:
			return false
		}
	}
	return true
}

// dial notes what is dialed, as far as the family goes.
func (a *asking) dial(domain string, all []value) {
	if most := a.habits.dials; most > 0 && len(all) > most {
		a.lose(nameOf(domain), LostLimit, len(all)-most)
		all = all[:most]
	}
	a.dialed = append(a.dialed, all...)
}
