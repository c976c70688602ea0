package dnsaddr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

const (
	peer  = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	atEnd = "/p2p/" + peer
)

func TestParseAddr_AcceptsWhatClientsDial(t *testing.T) {
	for text, dial := range map[string]string{
		"/ip4/192.0.2.7/tcp/9100" + atEnd:                            "/ip4/192.0.2.7/tcp/9100",
		"/ip4/127.0.0.1/udp/9101/quic-v1" + atEnd:                    "/ip4/127.0.0.1/udp/9101/quic-v1",
		"/ip6/2001:db8::1/tcp/9100" + atEnd:                          "/ip6/2001:db8::1/tcp/9100",
		"/dns4/boot.example.net/tcp/443/wss" + atEnd:                 "/dns4/boot.example.net/tcp/443/wss",
		"/dns6/boot.example.net/tcp/443/tls/ws" + atEnd:              "/dns6/boot.example.net/tcp/443/tls/ws",
		"/dns/boot.example.net/tcp/80/ws" + atEnd:                    "/dns/boot.example.net/tcp/80/ws",
		"/ip4/192.0.2.7/tcp/443/tls/sni/boot.example.net/ws" + atEnd: "/ip4/192.0.2.7/tcp/443/tls/sni/boot.example.net/ws",
		"/dns4/boot.example.net/tcp/1/ipfs/" + peer:                  "/dns4/boot.example.net/tcp/1",
		"/ip6/2001:0DB8:0:0::1/tcp/9100" + atEnd:                     "/ip6/2001:db8::1/tcp/9100",
	} {
		t.Run(text, func(t *testing.T) {
			a, err := dnsaddr.ParseAddr(text)
			if err != nil {
				t.Fatal(err)
			}
			if a.Dial() != dial || a.PeerID() != peer || a.String() != dial+atEnd || a.Value() != "dnsaddr="+dial+atEnd {
				t.Errorf("got %q of %q, dial %q, value %q; want %q of %q", a, a.PeerID(), a.Dial(), a.Value(), dial, peer)
			}
			if got, err := dnsaddr.ParseValue(a.Value()); err != nil || got != a {
				t.Errorf("ParseValue of its value: got %v, %v, want the same address", got, err)
			}
		})
	}
}

// Contract section 7, row 6: peer IDs are not checked.
func TestContract06_AddressThatNobodyCouldDialIsRefused(t *testing.T) {
	for what, text := range map[string]string{
		"empty":               "",
		"slash":               "/",
		"no peer ID":          "/ip4/192.0.2.7/tcp/9100",
		"peer ID alone":       "/p2p/" + peer,
		"peer ID cut":         "/ip4/192.0.2.7/tcp/9100/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2W",
		"peer ID of no key":   "/ip4/192.0.2.7/tcp/9100/p2p/12",
		"two peer IDs":        "/ip4/192.0.2.7/tcp/9100" + atEnd + atEnd,
		"something after":     "/ip4/192.0.2.7/tcp/9100" + atEnd + "/ws",
		"circuit":             "/ip4/192.0.2.7/tcp/9100" + atEnd + "/p2p-circuit" + atEnd,
		"port 0":              "/ip4/192.0.2.7/tcp/0" + atEnd,
		"unspecified":         "/ip4/0.0.0.0/tcp/9100" + atEnd,
		"unspecified v6":      "/ip6/::/tcp/9100" + atEnd,
		"no transport":        "/ip4/192.0.2.7" + atEnd,
		"udp without quic":    "/ip4/192.0.2.7/udp/9101" + atEnd,
		"old quic":            "/ip4/192.0.2.7/udp/9101/quic" + atEnd,
		"unix":                "/unix/tmp/sock",
		"name with a space":   "/dns4/a b/tcp/1" + atEnd,
		"name with an escape": "/dns4/a\x1b[31m/tcp/1" + atEnd,
		"pointer":             "/dnsaddr/example.net" + atEnd,
		"too long":            "/dns4/" + strings.Repeat("a.", 110) + "a/tcp/9100" + atEnd,
		"huge":                "/dns4/" + strings.Repeat("a", 1<<20),
	} {
		t.Run(what, func(t *testing.T) {
			a, err := dnsaddr.ParseAddr(text)
			if !errors.Is(err, dnsaddr.ErrBadAddr) || !a.IsZero() {
				t.Fatalf("got %q, %v, want ErrBadAddr", a, err)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestParseAddr_ReadsPeerIDWrittenAsCID(t *testing.T) {
	// an Ed25519 key as CIDv1 in base32
	const cid = "bafzaajaiaejcai6jtn34ijnrvzzhuctmdlkmcoh2ctfjkfyaruknuvgrb4dpwqf5"
	a, err := dnsaddr.ParseAddr("/ip4/192.0.2.7/tcp/9100/p2p/" + cid)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.PeerID(), "12D3KooW") || !strings.HasSuffix(a.String(), a.PeerID()) {
		t.Errorf("got %q of %q, want the base58 form", a, a.PeerID())
	}
}

func TestAddr_Private(t *testing.T) {
	for host, want := range map[string]bool{
		"/ip4/127.0.0.1": true, "/ip4/10.1.2.3": true, "/ip4/192.168.1.1": true, "/ip4/172.16.0.1": true, "/ip4/169.254.1.1": true,
		"/ip6/::1": true, "/ip6/fe80::1": true, "/ip6/fd00::1": true, "/dns4/localhost": true, "/dns/box.localhost": true,
		"/ip4/8.8.8.8": false, "/ip6/2a00:1450::1": false, "/dns4/boot.example.net": false,
	} {
		a, err := dnsaddr.ParseAddr(host + "/tcp/9100" + atEnd)
		if err != nil {
			t.Fatal(err)
		}
		if a.Private() != want {
			t.Errorf("%s: got private %v, want %v", host, a.Private(), want)
		}
	}
	if (dnsaddr.Addr{}).Private() {
		t.Error("the zero value is private")
	}
}

func TestAddr_IsJSONValueAndKey(t *testing.T) {
	a, err := dnsaddr.ParseAddr("/ip4/192.0.2.7/tcp/9100" + atEnd)
	if err != nil {
		t.Fatal(err)
	}
	type doc struct {
		Addr dnsaddr.Addr
		None dnsaddr.Addr
		By   map[dnsaddr.Addr]int
	}
	text, err := json.Marshal(doc{Addr: a, By: map[dnsaddr.Addr]int{a: 1}})
	if err != nil {
		t.Fatal(err)
	}
	var got doc
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Addr != a || !got.None.IsZero() || got.By[a] != 1 {
		t.Errorf("got %+v from %s", got, text)
	}
	if err := json.Unmarshal([]byte(`{"Addr":"/ip4/0.0.0.0"}`), &got); !errors.Is(err, dnsaddr.ErrBadAddr) {
		t.Errorf("got %v from an address that is none, want ErrBadAddr", err)
	}
}

func TestMaxAddr_FillsOneCharacterString(t *testing.T) {
	if dnsaddr.MaxAddr != 247 {
		t.Errorf("MaxAddr is %d, want 255 less the 8 of dnsaddr=", dnsaddr.MaxAddr)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"/ip4/192.0.2.7/tcp/9100" + atEnd, "/dns4/a.b/tcp/1/tls/sni/x/ws" + atEnd, "/ip6/::ffff:1.2.3.4/udp/1/quic-v1" + atEnd, "/dnsaddr/x" + atEnd, "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := dnsaddr.ParseAddr(text)
		if err != nil {
			if !a.IsZero() || !errors.Is(err, dnsaddr.ErrBadAddr) {
				t.Fatalf("got %q and error %v", a, err)
			}
			return
		}
		wellFormed(t, a)
	})
}

// wellFormed checks what every Addr promises.
func wellFormed(t *testing.T, a dnsaddr.Addr) {
	t.Helper()
	again, err := dnsaddr.ParseAddr(a.String())
	if err != nil || again != a {
		t.Fatalf("%q: parsed again: got %q, %v", a, again, err)
	}
	if a.Dial()+"/p2p/"+a.PeerID() != a.String() || strings.Contains(a.Dial(), "/p2p/") || len(a.Value()) > dnsaddr.MaxString {
		t.Fatalf("%q: dial %q, peer ID %q, value of %d bytes", a, a.Dial(), a.PeerID(), len(a.Value()))
	}
	for _, b := range []byte(a.String()) {
		if b <= ' ' || b > '~' {
			t.Fatalf("%q has a byte that no TXT record of ours may have", a)
		}
	}
	a.Private()
}
