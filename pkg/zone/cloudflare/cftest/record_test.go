package cftest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestRecord_IsShownAsItWasPosted(t *testing.T) {
	s := serve(t, cftest.Config{})
	for name, content := range map[string]string{"raw.example.test": "dnsaddr=/ip4/192.0.2.1", "quoted.example.test": `"dnsaddr=" "/ip4/192.0.2.1"`} {
		made := s.create(t, name, content)
		r := s.want(t, "GET", "/"+made.ID, "")
		if got := decode[record](t, r); got.Content != content || got.Name != name || got.TTL != 300 || !strings.Contains(r.raw, `"comment":null`) {
			t.Errorf("got %s, want %s with %s and no comment", r.raw, name, content)
		}
		if got := s.Resolve(0, name); len(got) != 1 || got[0] != "dnsaddr=/ip4/192.0.2.1" {
			t.Errorf("%s: got %q from the name server, want the text without quotes", name, got)
		}
	}
}

func TestRecord_NameIsCompletedAndInLowerCase(t *testing.T) {
	s := serve(t, cftest.Config{})
	for name, want := range map[string]string{
		"_dnsaddr.P2P.Example.Test": "_dnsaddr.p2p.example.test", "www": "www.example.test", "@": "example.test",
		"a.other.test": "a.other.test.example.test", "example.test": "example.test", "dot.example.test.": "dot.example.test",
	} {
		if got := s.create(t, name, "text of "+name); got.Name != want {
			t.Errorf("%s: got %s, want %s", name, got.Name, want)
		}
	}
}

func TestRecord_PatchChangesWhatItSaysAndPutAllTheRest(t *testing.T) {
	s := serve(t, cftest.Config{})
	made := decode[record](t, s.want(t, "POST", "", txt("a", "one", `,"comment":"mine"`)))
	patched := decode[record](t, s.want(t, "PATCH", "/"+made.ID, `{"content":"two"}`))
	if patched.ID != made.ID || patched.Content != "two" || patched.Comment != "mine" || patched.TTL != 300 {
		t.Errorf("patch: got %+v, want another content and the rest as it was", patched)
	}
	put := decode[record](t, s.want(t, "PUT", "/"+made.ID, `{"type":"TXT","name":"a","content":"three","ttl":60}`))
	if put.ID != made.ID || put.Content != "three" || put.Comment != "" || put.TTL != 60 {
		t.Errorf("put: got %+v, want no comment", put)
	}
}

func TestRecord_ThatIsGoneIsSaidToBe(t *testing.T) {
	s := serve(t, cftest.Config{})
	made := s.create(t, "a", "one")
	s.want(t, "DELETE", "/"+made.ID, "")
	for _, method := range []string{"GET", "DELETE", "PATCH", "PUT"} {
		form := map[string]string{"PATCH": `{"ttl":60}`, "PUT": txt("a", "two", "")}[method]
		if r := s.do(t, method, "/"+made.ID, form); r.status != http.StatusNotFound || r.code() != 81044 {
			t.Errorf("%s: got %d %s, want 404 with 81044", method, r.status, r.raw)
		}
	}
	if again := s.create(t, "a", "one"); again.ID == made.ID {
		t.Errorf("got ID %s for another record, want a new one", again.ID)
	}
}

func TestRecord_OthersWriteBesideTheAPI(t *testing.T) {
	s := serve(t, cftest.Config{})
	put, err := s.Put(cftest.DefaultZone, cftest.Record{Name: "a", Content: "theirs"}, cftest.Record{Name: "b", Type: "A", Content: "192.0.2.1"})
	if err != nil || len(put) != 2 || len(s.Calls()) != 0 {
		t.Fatalf("got %v, %v and %d calls, want two records and none", put, err, len(s.Calls()))
	}
	put[0].Content = "edited"
	if _, err := s.Put(cftest.DefaultZone, put[0]); err != nil {
		t.Fatal(err)
	}
	s.Remove(cftest.DefaultZone, put[1].ID, put[1].ID)
	if got := s.Records(cftest.DefaultZone); len(got) != 1 || got[0].Content != "edited" || got[0].ID != put[0].ID {
		t.Errorf("got %+v, want the first, edited", got)
	}
	if _, err := s.Put(cftest.DefaultZone, cftest.Record{Name: "a", Content: "edited"}); err == nil {
		t.Error("a twin: got no error, want one")
	}
}

func TestExport_IsAZoneFile(t *testing.T) {
	s := serve(t, cftest.Config{})
	s.want(t, "POST", "", txt("_dnsaddr", `"dnsaddr=/dns4/a.test"`, `,"comment":"mine"`))
	r := s.do(t, "GET", "/export", "")
	for _, line := range []string{
		"example.test.\t86400\tIN\tNS\tada.ns.cloudflare.example.\n",
		"_dnsaddr.example.test.\t300\tIN\tTXT\t\"dnsaddr=/dns4/a.test\" ; mine\n",
	} {
		if r.status != http.StatusOK || !strings.Contains(r.raw, line) {
			t.Errorf("got %d %s, want %q in it", r.status, r.raw, line)
		}
	}
}
