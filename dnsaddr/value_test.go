package dnsaddr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

func TestParseValue_TellsForeignKindsApart(t *testing.T) {
	for txt, want := range map[string]error{
		"dnsaddr=/ip4/192.0.2.7/tcp/9100" + atEnd:             nil,
		"dnsaddr=/dnsaddr/fra1.example.net" + atEnd:           dnsaddr.ErrPointer,
		"dnsaddr=/dnsaddr/fra1.example.net":                   dnsaddr.ErrPointer,
		"dnsaddr=/dnsaddr/a b":                                dnsaddr.ErrBadAddr,
		"dnsaddr=/ip4/192.0.2.7/tcp/9100":                     dnsaddr.ErrBadAddr,
		"dnsaddr=":                                            dnsaddr.ErrBadAddr,
		" dnsaddr=/ip4/192.0.2.7/tcp/9100" + atEnd:            dnsaddr.ErrNotDNSAddr,
		"DNSADDR=/ip4/192.0.2.7/tcp/9100" + atEnd:             dnsaddr.ErrNotDNSAddr,
		"\"dnsaddr=/ip4/192.0.2.7/tcp/9100" + atEnd + "\"":    dnsaddr.ErrNotDNSAddr,
		"v=spf1 -all":                                         dnsaddr.ErrNotDNSAddr,
		"":                                                    dnsaddr.ErrNotDNSAddr,
		"dnsaddr=/ip4/192.0.2.7/tcp/9100/p2p-circuit" + atEnd: dnsaddr.ErrBadAddr,
		"dnsaddr=/dnsaddr/" + strings.Repeat("a.", 200) + "example" + atEnd: dnsaddr.ErrBadAddr,
	} {
		_, err := dnsaddr.ParseValue(txt)
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%q: got error %v, want %v", txt, err, want)
		}
		if got, want := dnsaddr.IsDNSAddr(txt), want == nil || !errors.Is(want, dnsaddr.ErrNotDNSAddr); got != want {
			t.Errorf("%q: IsDNSAddr got %v, want %v", txt, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	long := strings.Repeat("a.", 121) + "ab" // 244 bytes: exactly the room that "_dnsaddr." leaves
	for name, ok := range map[string]bool{
		"p2p.example.net": true, "localhost": true, "_x.a-b.C9": true, "xn--bcher-kva.example": true, long: true,
		"": false, ".": false, "a..b": false, "a.": false, ".a": false, "-a": false, "a-.b": false, "a b": false, "bücher.example": false,
		"a/b": false, "a\n": false, "*.a": false, strings.Repeat("a", 64): false, long + "c": false,
	} {
		if err := dnsaddr.CheckName(name); (err == nil) != ok || err != nil && !errors.Is(err, dnsaddr.ErrBadName) {
			t.Errorf("%q: got error %v, want accepted %v", name, err, ok)
		}
	}
	if len(dnsaddr.Name(long)) != 253 {
		t.Errorf("the longest name has %d bytes, want 253", len(dnsaddr.Name(long)))
	}
}

func TestOwner_CommentIsReadBack(t *testing.T) {
	o := dnsaddr.Owner{Fleet: strings.Repeat("f", 32), Relay: strings.Repeat("r", 40)}
	if got, ok := dnsaddr.ParseOwner(o.Comment()); !ok || got != o || len(o.Comment()) > dnsaddr.MaxComment {
		t.Errorf("got %v, %v from a comment of %d bytes, want the same owner", got, ok, len(o.Comment()))
	}
	for _, comment := range []string{
		"", "fleetctl:", "fleetctl:/", "fleetctl:a", "fleetctl:a/", "fleetctl:/b", "fleetctl:a/b/c", " fleetctl:a/b", "fleetctl:a/b ",
		"Fleetctl:a/b", "fleetctl:a b/c", "fleetctl:a/b\n", "by hand", "fleetctl:a/" + strings.Repeat("b", 100),
	} {
		if o, ok := dnsaddr.ParseOwner(comment); ok {
			t.Errorf("%q: got owner %v, want none: the record is foreign", comment, o)
		}
	}
}

func TestWireSize_MatchesWhatWasMeasured(t *testing.T) {
	const name = "_dnsaddr.p2p.example"
	value := "dnsaddr=/ip4/192.168.100.100/tcp/9100" + atEnd // an address of 15 characters
	for n, most := range map[int]int{4: dnsaddr.MaxUDP, 11: dnsaddr.MaxEDNS} {
		values := make([]string, n+1)
		for i := range values {
			values[i] = value
		}
		if got := dnsaddr.WireSize(name, values[:n]); got > most {
			t.Errorf("%d relays: got %d bytes, want at most %d", n, got, most)
		}
		if got := dnsaddr.WireSize(name, values); got <= most {
			t.Errorf("%d relays: got %d bytes, want more than %d", n+1, got, most)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"dnsaddr=/ip4/192.0.2.7/tcp/9100" + atEnd, "dnsaddr=/dnsaddr/x.y", "v=spf1", "dnsaddr="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, txt string) {
		a, err := dnsaddr.ParseValue(txt)
		if err == nil {
			wellFormed(t, a)
			return
		}
		known := errors.Is(err, dnsaddr.ErrBadAddr) || errors.Is(err, dnsaddr.ErrPointer) || errors.Is(err, dnsaddr.ErrNotDNSAddr)
		if !a.IsZero() || !known || errors.Is(err, dnsaddr.ErrNotDNSAddr) == dnsaddr.IsDNSAddr(txt) {
			t.Fatalf("%q: got %q, %v", txt, a, err)
		}
	})
}

func FuzzParseOwner(f *testing.F) {
	for _, s := range []string{"fleetctl:demo/nyc1-1", "fleetctl:a/b/c", "by hand"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		if o, ok := dnsaddr.ParseOwner(comment); ok && o.Comment() != comment {
			t.Fatalf("%q: read as %v, which writes %q", comment, o, o.Comment())
		}
	})
}
