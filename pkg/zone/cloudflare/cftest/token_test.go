package cftest_test

import (
	"net/http"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestToken_MayDoWhatItWasGranted(t *testing.T) {
	s := serve(t, cftest.Config{
		Zones: []cftest.Zone{{Name: "a.test"}, {Name: "b.test"}},
		Tokens: []cftest.Token{
			{Value: "all", Grants: []cftest.Grant{{May: cftest.All}}},
			{Value: "one-zone", Grants: []cftest.Grant{{Zone: "a.test", May: cftest.All}}},
			{Value: "reader", Grants: []cftest.Grant{{Zone: "a.test", May: cftest.ZoneRead | cftest.DNSRead}}},
			{Value: "no-zone", Grants: []cftest.Grant{{Zone: "a.test", May: cftest.DNSEdit}}},
			{Value: "disabled", Disabled: true, Grants: []cftest.Grant{{May: cftest.All}}},
			{Value: "expired", Expired: true, Grants: []cftest.Grant{{May: cftest.All}}},
			{Value: "account", AccountOwned: true, Grants: []cftest.Grant{{May: cftest.All}}},
			{Value: "revoked", Grants: []cftest.Grant{{May: cftest.All}}},
			{Value: "none"},
		},
	})
	s.RevokeToken("revoked")
	a, b := "/zones/"+s.ZoneID("a.test"), "/zones/"+s.ZoneID("b.test")
	const verify, records, unknown = "/user/tokens/verify", "/dns_records", "/zones/0123456789abcdef0123456789abcdef/dns_records"
	for _, c := range []struct {
		token, method, path string
		status, code        int
	}{
		{"all", "GET", verify, 200, 0},
		{"all", "GET", "/zones", 200, 0},
		{"all", "GET", b + records, 200, 0},
		{"all", "GET", unknown, 403, 10000},
		{"all", "GET", "/zones/not-an-id/dns_records", 404, 7003},
		{"all", "DELETE", a + "/dns_records/x", 404, 7003},
		{"one-zone", "GET", "/zones", 403, 9109},
		{"one-zone", "GET", "/zones?name=a.test", 200, 0},
		{"one-zone", "GET", "/zones?name=b.test", 200, 0}, // an empty list
		{"one-zone", "POST", a + records, 200, 0},
		{"one-zone", "GET", b + records, 403, 10000},
		{"one-zone", "GET", b, 403, 9109},
		{"reader", "GET", a + records, 200, 0},
		{"reader", "GET", a + "/dns_records/usage", 200, 0},
		{"reader", "POST", a + records, 403, 10000},
		{"reader", "POST", a + "/dns_records/batch", 403, 10000},
		{"no-zone", "GET", "/zones?name=a.test", 403, 9109},
		{"no-zone", "GET", a + records, 200, 0},
		{"disabled", "GET", verify, 200, 0},
		{"disabled", "GET", a + records, 403, 10000},
		{"expired", "GET", a + records, 403, 10000},
		{"account", "GET", verify, 401, 1000},
		{"account", "GET", a + records, 200, 0},
		{"revoked", "GET", a + records, 403, 9109},
		{"revoked", "GET", verify, 401, 1000},
		{"none", "GET", verify, 200, 0},
		{"none", "GET", "/zones?name=a.test", 403, 9109},
		{`"quoted"`, "GET", a + records, 400, 6003},
		{"", "GET", a + records, 400, 9106},
	} {
		form := ""
		if c.method == "POST" {
			form = txt("x", "x", "")
		}
		r := s.send(t, c.token, c.method, c.path, form)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %s %s: got %d %s, want %d with %d", c.token, c.method, c.path, r.status, r.raw, c.status, c.code)
		}
		if c.code == 6003 && r.chained() != 6111 {
			t.Errorf("got %s, want 6111 in the chain", r.raw)
		}
	}
}

func TestToken_IsVerifiedWithAMessageThatLooksLikeAnError(t *testing.T) {
	s := serve(t, cftest.Config{Tokens: []cftest.Token{{Value: "ok"}, {Value: "off", Disabled: true}, {Value: "old", Expired: true}}})
	for token, want := range map[string]string{"ok": "active", "off": "disabled", "old": "expired"} {
		r := s.send(t, token, "GET", "/user/tokens/verify", "")
		got := decode[struct{ ID, Status string }](t, r)
		if r.status != http.StatusOK || got.Status != want || got.ID == "" || r.body.Messages[0].Code != 10000 {
			t.Errorf("%s: got %d %s, want %s and the message 10000", token, r.status, r.raw, want)
		}
	}
}
