package dnsaddr_test

import (
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Two records of any text, one of them in two strings, are read by every model and by
// lint without a crash and within bounds.
func FuzzClients(f *testing.F) {
	f.Add(tcp(0), "v=spf1 -all", "x")
	f.Add(quic(1), "dnsaddr=/dnsaddr/p2p.example", "/p2p/"+peerID(1))
	f.Add("dnsaddr=", "dnsaddr=/ip4/1.2.3.4/tcp/1=", "=")
	f.Add(`"dnsaddr=/dns4/x/tcp/1"`, "heritage=external-dns", "")
	f.Fuzz(func(t *testing.T, one, two, three string) {
		answers := dnsaddr.Answers{entryName: {Texts: [][]string{{one}, {two, three}, {}}}}
		clients := dnsaddr.NewClients(answers)
		for _, family := range dnsaddr.Families() {
			for _, id := range []string{"", peerID(1)} {
				got := clients.Resolve(family, open(), domain, id)
				if got.Queries > 1001 || len(got.Addrs) > 100 {
					t.Errorf("%s: %d queries, %d addresses", family, got.Queries, len(got.Addrs))
				}
			}
		}
		for _, found := range review(answers).Findings() {
			if len(found.Detail) > 1000 {
				t.Errorf("a detail of %d bytes", len(found.Detail))
			}
		}
	})
}
