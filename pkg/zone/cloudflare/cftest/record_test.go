package cftest_test

import (
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestRecord_IsShownAsItWasPosted(t *testing.T) {
	s := serve(t, cftest.Config{})
	for name, content := range map[string]string{"raw.example.test": "dnsaddr=/ip4/192.0.2.1", "quoted.example.test": `"dnsaddr=" "/ip4/192.0.2.1"`} {
		made := s.create(t, name, content)
		if got := decode[record](t, s.want(t, "GET", "/"+made.ID, "")); got.Content != content || got.Name != name || got.TTL != 300 || got.Comment != "" {
			t.Errorf("got %+v, want %s with %s", got, name, content)
		}
		if got := s.Resolve(0, name); len(got) != 1 || got[0] != "dnsaddr=/ip4/192.0.2.1" {
			t.Errorf("%s: got %q from the name server, want the text without quotes", name, got)
		}
	}
	if got := s.want(t, "GET", "?type=TXT", "").body.ResultInfo; got.TotalCount != 2 || got.TotalPages != 1 {
		t.Errorf("got %+v, want 2 on one page", got)
	}
}
