package rfc2136_test

import (
	"slices"
	"strings"
	"testing"
	"time"

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

// What is delegated takes an update and is never seen: no name of it may be in one, and those
// beside it are published.
func TestZone_ADelegationAtAListIsNamedAndKeepsNothingElseBack(t *testing.T) {
	const listed, other = "_dnsaddr.nyc1.p2p.zone.test", "_dnsaddr.fra1.p2p.zone.test"
	for _, cut := range []string{listed, "_fleetctl.nyc1.p2p.zone.test", "nyc1.p2p.zone.test"} {
		for _, refuse := range []bool{false, true} {
			s := rfctest.Start(t, apex)
			s.RefuseTransfers(refuse)
			s.Put(t, strings.ToUpper(cut)+". 60 NS ns1.elsewhere.test.", cut+". 60 NS ns2.elsewhere.test.")
			z := open(t, config(s))
			beside := relay("192.0.2.2")
			beside.Name = other
			apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1"), beside}})
			if got := list(t, z); len(got) != 2 {
				t.Errorf("%s, transfers refused %t: got records %v, want those at the names beside it", cut, refuse, got)
			}
			closed, err := z.Closed(t.Context(), name, []string{name, listed, other})
			if err != nil || len(closed) != 1 || closed[listed] == nil || !strings.Contains(closed[listed].Error(), cut+" is delegated (NS) to other servers") || !strings.Contains(hint(closed[listed]), "delete the NS records of "+cut) {
				t.Errorf("%s, transfers refused %t: got %v, %v, want %s alone, and why", cut, refuse, closed, err, listed)
			}
			here, there := relay("192.0.2.3"), relay("192.0.2.4")
			there.Name = listed
			s.Fail(nil)
			err = z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{here, there}})
			if err == nil || !strings.Contains(err.Error(), cut+" is delegated (NS)") || s.Updates() != 0 {
				t.Errorf("%s, transfers refused %t: Apply: got %v after %d updates, want the delegation named before the first", cut, refuse, err, s.Updates())
			}
		}
	}
}

// Records of ours below a delegation are in the zone, and no query shows them: whoever said that
// there are none would take the list for gone, and leave them for good.
func TestRecords_AListOfOursThatWasDelegatedIsNotTakenForGone(t *testing.T) {
	const listed = "_dnsaddr.nyc1.p2p.zone.test"
	for _, refuse := range []bool{false, true} {
		s := rfctest.Start(t, apex)
		s.RefuseTransfers(refuse)
		z := open(t, config(s))
		ours := relay("192.0.2.1")
		ours.Name = listed
		apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.2"), ours}})
		s.Put(t, "nyc1.p2p.zone.test. 60 NS ns.elsewhere.test.")
		got, err := z.Records(t.Context(), name)
		if refuse {
			if err == nil || !strings.Contains(err.Error(), "nyc1.p2p.zone.test is delegated (NS)") {
				t.Errorf("without transfers: got %v and %v, want why what is there cannot be seen", got, err)
			}
			s.Fail(nil)
			if err := z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.3")}}); err == nil || s.Updates() != 0 {
				t.Errorf("without transfers: Apply: got %v after %d updates, want none", err, s.Updates())
			}
		} else if err != nil || len(got) != 2 {
			t.Errorf("by transfer: got %v and %v, want both records", got, err)
		}
	}
}

// A DNAME is an alias of all that is below its name, and of nothing at it.
func TestClosed_BelowADNAMENoRecordCanStand(t *testing.T) {
	const listed, other = "_dnsaddr.nyc1.p2p.zone.test", "_dnsaddr.fra1.p2p.zone.test"
	s := rfctest.Start(t, apex)
	s.Put(t, "nyc1.p2p.zone.test. 60 DNAME elsewhere.test.", other+". 60 DNAME elsewhere.test.")
	z := open(t, config(s))
	_ = list(t, z)
	closed, err := z.Closed(t.Context(), name, []string{name, listed, other})
	if err != nil || len(closed) != 1 || closed[listed] == nil || !strings.Contains(closed[listed].Error(), "nyc1.p2p.zone.test is an alias (DNAME) of elsewhere.test") {
		t.Errorf("got %v, %v, want %s alone, and why", closed, err, listed)
	}
	s.Put(t, "p2p.zone.test. 60 DNAME elsewhere.test.")
	if got, err := z.Records(t.Context(), name); err == nil || !strings.Contains(err.Error(), "p2p.zone.test is an alias (DNAME)") {
		t.Errorf("above the entry name: got %v, %v, want the alias named", got, err)
	}
}

// A mark that a server drops is waited for in vain, after the TTL was written.
func TestApply_WhatStandsWhereNoMarkCanIsNotUpdated(t *testing.T) {
	const listed = "_dnsaddr.nyc1.p2p.zone.test"
	for _, refuse := range []bool{false, true} {
		for _, closing := range []string{"CNAME", "NS"} {
			s := rfctest.Start(t, apex)
			s.RefuseTransfers(refuse)
			z := open(t, config(s))
			ours := relay("192.0.2.1")
			ours.Name, ours.Comment = listed, ""
			apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.2"), ours}})
			s.Put(t, `_fleetctl.p2p.zone.test. 300 TXT "fleetctl v=1 list=nyc1"`)
			got := list(t, z)
			i := slices.IndexFunc(got, func(r dnsaddr.Record) bool { return r.Name == listed })
			if i < 0 {
				t.Fatalf("transfers refused %t: got %v, want a record at %s", refuse, got, listed)
			}
			adopted := got[i]
			adopted.Comment, adopted.TTL = "fleetctl:demo/nyc1-1", 2*time.Minute
			s.Put(t, "_fleetctl.nyc1.p2p.zone.test. 60 "+closing+" elsewhere.test.")
			s.Fail(nil)
			err := z.Apply(t.Context(), name, dnsaddr.Changes{Update: []dnsaddr.Record{adopted}})
			if err == nil || !strings.Contains(err.Error(), "_fleetctl.nyc1.p2p.zone.test is ") || !strings.Contains(err.Error(), "("+closing+")") || s.Updates() != 0 {
				t.Errorf("%s, transfers refused %t: got %v after %d updates, want why no mark can stand there before the first", closing, refuse, err, s.Updates())
			}
			if refuse && closing == "NS" {
				continue // what stands there cannot be seen, so nothing is written
			}
			apply(t, z, dnsaddr.Changes{Remove: []dnsaddr.Record{got[i]}})
			if left := s.TXT(listed); len(left) != 0 {
				t.Errorf("%s, transfers refused %t: got %q at %s, want what is removed gone", closing, refuse, left, listed)
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

func TestRecords_WhereTheEntryNameIsDelegatedAreAnError(t *testing.T) {
	for _, cut := range []string{name, companion, domain} {
		for _, refuse := range []bool{false, true} {
			s := rfctest.Start(t, apex)
			s.RefuseTransfers(refuse)
			s.Put(t, cut+". 60 NS ns.elsewhere.test.")
			if got, err := open(t, config(s)).Records(t.Context(), name); err == nil || !strings.Contains(err.Error(), cut+" is delegated (NS)") {
				t.Errorf("%s, transfers refused %t: got %v, %v, want the delegation named", cut, refuse, got, err)
			}
		}
	}
}
