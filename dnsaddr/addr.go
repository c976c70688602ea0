package dnsaddr

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// MaxAddr is the longest address in bytes: with "dnsaddr=" before it, it fills one
// character-string of a TXT record.
const MaxAddr = MaxString - len(prefix)

// ErrBadAddr is wrapped by every error of [ParseAddr].
var ErrBadAddr = errors.New("not a relay's address")

// Addr is the address of one relay: a multiaddr that can be dialed and that ends in
// /p2p/<peer ID>. The zero value is no address. Addr is comparable: equal addresses
// are equal text, in go-multiaddr's canonical form.
type Addr struct {
	text string
	peer string
}

// ParseAddr reads a multiaddr: ip4, ip6, dns, dns4 or dns6; then tcp, udp/quic-v1,
// tcp/ws, tcp/tls/ws or tcp/wss; then /p2p/<peer ID>, once and at the end. It refuses
// what a client could not dial: port 0, an unspecified address, a circuit, a name
// that is no domain name. Other spellings of the same address, /ipfs/ and a peer ID
// as CID among them, become the canonical one. Every error wraps [ErrBadAddr].
func ParseAddr(text string) (Addr, error) {
	if len(text) > 2*MaxAddr { // other spellings are longer, but not by so much
		return Addr{}, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrBadAddr, len(text), MaxAddr)
	}
	m, err := ma.NewMultiaddr(text)
	if err != nil {
		return Addr{}, fmt.Errorf("%w: %q: %w", ErrBadAddr, text, err)
	}
	a := Addr{text: m.String()}
	if len(a.text) > MaxAddr {
		return Addr{}, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrBadAddr, len(a.text), MaxAddr)
	}
	if err := checkPeer(m); err != nil {
		return Addr{}, fmt.Errorf("%w: %q: %w", ErrBadAddr, text, err)
	}
	if err := checkDial(m[:len(m)-1]); err != nil {
		return Addr{}, fmt.Errorf("%w: %q: %w", ErrBadAddr, text, err)
	}
	a.peer = a.text[strings.LastIndexByte(a.text, '/')+1:] // its end, which is written already
	return a, nil
}

// checkPeer wants one peer ID, at the end, that could be the name of a key.
func checkPeer(m ma.Multiaddr) error {
	for i, c := range m {
		switch {
		case c.Code() == ma.P_CIRCUIT:
			return errors.New("it leads through another relay (p2p-circuit)")
		case c.Code() == ma.P_P2P && i < len(m)-1:
			return errors.New("something follows its peer ID")
		}
	}
	if len(m) == 0 || m[len(m)-1].Code() != ma.P_P2P {
		return errors.New("it does not end in /p2p/<peer ID>")
	}
	id := m[len(m)-1].RawValue()
	ed25519 := []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}
	secp256k1 := []byte{0x00, 0x25, 0x08, 0x02, 0x12, 0x21}
	if id[0] == 0x00 && !bytes.HasPrefix(id, ed25519) && !bytes.HasPrefix(id, secp256k1) {
		return errors.New("its peer ID is of no kind of key")
	}
	return nil
}

// String is the multiaddr, "" for the zero value.
func (a Addr) String() string { return a.text }

// PeerID of the relay, in its canonical text form.
func (a Addr) PeerID() string { return a.peer }

// IsZero reports whether a is the zero value, which is no address.
func (a Addr) IsZero() bool { return a.text == "" }

// Dial is the multiaddr without its peer ID: where to connect to.
func (a Addr) Dial() string { return strings.TrimSuffix(a.text, "/p2p/"+a.peer) }

// Value is the text of the TXT record that publishes a: "dnsaddr=/ip4/…". It is
// "" for the zero value.
func (a Addr) Value() string {
	if a.text == "" {
		return ""
	}
	return prefix + a.text
}

// Private reports whether a stands for an address that the internet does not route:
// loopback, RFC 1918, link-local, unique local. A domain name is private only if its
// ending says so (.local, .localhost); it is not resolved.
func (a Addr) Private() bool {
	m, err := ma.NewMultiaddr(a.Dial())
	if err != nil {
		return false
	}
	return manet.IsPrivateAddr(m) || manet.IsIPLoopback(m) || manet.IsIP6LinkLocal(m) || isLocalhost(m)
}

// isLocalhost reports whether m begins with the name that always means this machine.
func isLocalhost(m ma.Multiaddr) bool {
	switch m[0].Code() {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
		name := strings.ToLower(strings.TrimSuffix(m[0].Value(), "."))
		return name == "localhost" || strings.HasSuffix(name, ".localhost")
	}
	return false
}

// Compare orders addresses by their text.
func (a Addr) Compare(b Addr) int { return strings.Compare(a.text, b.text) }

// MarshalText writes the multiaddr, so that an Addr is a JSON string and a key of a
// JSON object. The zero value is the empty text.
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.text), nil }

// UnmarshalText reads what MarshalText wrote, and checks it as [ParseAddr] does.
func (a *Addr) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Addr{}
		return nil
	}
	b, err := ParseAddr(string(text))
	if err != nil {
		return err
	}
	*a = b
	return nil
}
