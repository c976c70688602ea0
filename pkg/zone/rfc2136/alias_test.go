package rfc2136_test

import (
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

// An alias at another name than the entry name is in nobody's way until something is to be
// published there. A dry run learns it beforehand, whichever way the zone is read.
func TestZone_AnAliasAtAListIsNamedAndKeepsNothingElseBack(t *testing.T) {
	const listed, other = "_dnsaddr.nyc1.p2p.zone.test", "_dnsaddr.fra1.p2p.zone.test"
	for _, alias := range []string{listed, "_fleetctl.nyc1.p2p.zone.test"} {
		for _, refuse := range []bool{false, true} {
			s := rfctest.Start(t, apex)
			s.RefuseTransfers(refuse)
			s.Put(t, alias+". 60 CNAME elsewhere.test.")
			z := open(t, config(s))
			apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
			if got := list(t, z); len(got) != 1 {
				t.Errorf("%s: got records %v, want the one at the entry name", alias, got)
			}
			closed, err := z.Closed(t.Context(), strings.ToUpper(name), []string{name, listed, other})
			if err != nil || len(closed) != 1 || closed[listed] == nil || !strings.Contains(closed[listed].Error(), alias+" is an alias (CNAME) of elsewhere.test") || !strings.Contains(hint(closed[listed]), "delete the CNAME") {
				t.Errorf("%s, transfers refused %t: got %v, %v, want %s alone, and why", alias, refuse, closed, err, listed)
			}
			here, there := relay("192.0.2.2"), relay("192.0.2.3")
			there.Name = listed
			err = z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{here, there}})
			if err == nil || !strings.Contains(err.Error(), alias+" is an alias (CNAME)") {
				t.Errorf("%s: Apply: got %v, want the alias named", alias, err)
			}
			if got := s.TXT(name); len(got) != 1 {
				t.Errorf("%s: got %q at the entry name, want nothing more written", alias, got)
			}
		}
	}
}

// Names of the DNS have no case: neither the configured ones, nor those that a server answers with.
func TestNew_NamesAndKeysHaveNoCase(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		s := rfctest.Start(t, apex)
		s.RefuseTransfers(refuse)
		s.Put(t, strings.ToUpper(name)+`. 60 IN TXT "somebody's"`)
		cfg := config(s)
		cfg.Domain, cfg.Zone, cfg.KeyName, cfg.KeyAlgorithm = "P2P.Zone.TEST", "ZONE.Test", strings.ToUpper(rfctest.KeyName)+".", "HMAC-SHA256"
		z := open(t, cfg)
		if err := z.Apply(t.Context(), "_DNSADDR.p2p.zone.TEST", dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}}); err != nil {
			t.Fatalf("transfers refused %t: Apply: %v", refuse, err)
		}
		if got, _ := z.Records(t.Context(), strings.ToUpper(name)); len(got) != 2 || got[0].Name != name || got[1].Name != name {
			t.Errorf("transfers refused %t: got %v, want ours and somebody's at %s", refuse, got, name)
		}
		if got := z.Status(t.Context()); !got.Serving {
			t.Errorf("got status %+v, want serving", got)
		}
	}
}

func TestRecords_WhereTheEntryNameIsAnAliasAreAnError(t *testing.T) {
	for _, alias := range []string{name, companion} {
		for _, refuse := range []bool{false, true} {
			s := rfctest.Start(t, apex)
			s.RefuseTransfers(refuse)
			s.Put(t, alias+". 60 CNAME elsewhere.test.")
			if got, err := open(t, config(s)).Records(t.Context(), name); err == nil || !strings.Contains(err.Error(), alias+" is an alias (CNAME) of elsewhere.test") {
				t.Errorf("%s, transfers refused %t: got %v, %v, want the alias named", alias, refuse, got, err)
			}
		}
	}
}
