package cloudflare_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestErrors_SayCodeChainAndRay(t *testing.T) {
	const html = "text/html; charset=UTF-8"
	for name, tc := range map[string]struct {
		status     int
		kind, body string
		is         error
		words      []string
	}{
		"chain": {400, "application/json", `{"success":false,"errors":[{"code":1004,"message":"DNS Validation Error","error_chain":[
			{"code":9300,"message":"DNS record has 1 tags,\u001b[2J exceeding the quota of 0.","error_chain":[{"code":9999,"message":"deep"}]}]}]}`,
			nil, []string{"the API answers 400: 1004 DNS Validation Error (9300 DNS record has 1 tags, [2J exceeding the quota of 0. (9999 deep))", "cf-ray 8a [31m-TST"}},
		"refused with 200": {200, "application/json", `{"success":false,"errors":[{"code":9005,"message":"Content is invalid."}]}`, nil, []string{"9005 Content is invalid."}},
		"malformed header": {400, "application/json", `{"success":false,"errors":[{"code":6003,"message":"Invalid request headers","error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}]}`,
			dnsaddr.ErrAuth, []string{"6003", "6111 Invalid format", "THE_TEST_TOKEN", "without quotes, spaces or line breaks"}},
		"no route":       {404, "application/json", `{"success":false,"errors":[{"code":7003,"message":"Could not route"}]}`, nil, []string{"7003", "dns.cloudflare.zone_id"}},
		"401":            {401, "application/json", `{"success":false,"errors":[]}`, dnsaddr.ErrAuth, []string{"THE_TEST_TOKEN", "Zone.DNS:Edit"}},
		"rate by code":   {400, "application/json", `{"success":false,"errors":[{"code":10300,"message":"slow down"}]}`, dnsaddr.ErrFull, []string{"10300", "five minutes"}},
		"full":           {400, "application/json", `{"success":false,"errors":[{"code":81045,"message":"Record quota exceeded."}]}`, dnsaddr.ErrFull, []string{"81045", "plan with more records"}},
		"CNAME":          {400, "application/json", `{"success":false,"errors":[{"code":81053,"message":"exists"}]}`, nil, []string{"81053", "remove the CNAME"}},
		"page":           {503, html, "<html><head><title>Just a\nmoment…</title></head><body>x</body></html>", nil, []string{"the API answers 503: not in JSON: Just a moment…"}},
		"page, no title": {502, html, "<h1>502 Bad Gateway</h1><script>", nil, []string{"502 Bad Gateway"}},
		"page with 200":  {200, html, "<html><title>Log in</title>", nil, []string{"cannot be read"}},
		"nothing":        {500, "", "", nil, []string{"the API answers 500: not in JSON"}},
		"half":           {200, "application/json", `{"success":true,"result":[{"id":"`, nil, []string{"cannot be read"}},
		"no count":       {200, "application/json", `{"success":true,"result":[]}`, nil, []string{"does not say how many"}},
		"too many":       {200, "application/json", `{"success":true,"result":[],"result_info":{"total_count":99999999}}`, nil, []string{"99999999 records"}},
		"fewer":          {200, "application/json", `{"success":true,"result":[],"result_info":{"total_count":3}}`, nil, []string{"holds 0 records and counts 3"}},
		"other forms":    {200, "application/json", `{"success":true,"result":{"a":1},"result_info":[]}`, nil, []string{"the API's answer cannot be read: ", "object in place of"}},
	} {
		t.Run(name, func(t *testing.T) {
			z := open(t, func(c *cloudflare.Config) { c.Transport = always(tc.status, tc.kind, tc.body) })
			_, err := z.Records(t.Context(), entry)
			wantErr(t, "Records", err, tc.is, tc.words...)
			if strings.ContainsFunc(err.Error()+fleet.Hint(err), func(r rune) bool { return r < ' ' }) {
				t.Errorf("got control characters in %q", err)
			}
		})
	}
}

func TestErrors_AnEndlessAnswerEnds(t *testing.T) {
	asked := 0
	z := open(t, func(c *cloudflare.Config) {
		c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			resp := respond(r, 200, http.Header{}, "")
			resp.Body = endless{}
			return resp, nil
		})
	})
	_, err := z.Records(t.Context(), entry)
	wantErr(t, "Records", err, nil, "longer than 16777216 bytes")
	if asked != 1 {
		t.Errorf("got %d requests, want 1", asked)
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func (endless) Close() error { return nil }

func TestErrors_ADisguisedRecordIsShownAndIsNobodys(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		odd := `{"success":true,"errors":[],"result":[{"id":"1","name":"` + entry + `","type":"TXT","content":"\"a","ttl":1e9,"comment":null},
			{"id":"2","name":"` + entry + `","type":"TXT","content":"\"a\" b \"c\"","ttl":-5},{"id":"3","name":"evil.test","type":"TXT","content":"x","ttl":300},
			{"id":"4","name":"` + entry + `","type":"A","content":"192.0.2.1","ttl":300}],"result_info":{"total_count":4}}`
		if !json.Valid([]byte(odd)) {
			t.Fatal("the answer is no JSON")
		}
		z := open(t, func(c *cloudflare.Config) { c.Transport = always(200, "application/json", odd) })
		got := records(t, z)
		if len(got) != 2 || got[0].Value != `"a` || got[1].Value != `"a" b "c"` || got[1].TTL <= 0 {
			t.Errorf("got %+v, want two records as they stand", got)
		}
		if c := dnsaddr.Diff("seabird", got, nil); !c.Empty() {
			t.Errorf("got changes %+v, want none", c)
		}
	})
}

// FuzzAnswers has the API answer with anything: what is returned is bounded and sane, and
// nothing panics.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(`{"success":true,"result":[{"id":"1","name":"`+entry+`","type":"TXT","content":"\"a\" \"b\"","ttl":300,"comment":"c"}],"result_info":{"total_count":1}}`))
	f.Add(400, []byte(`{"success":false,"errors":[{"code":1004,"message":"m","error_chain":[{"code":9300}]}]}`))
	f.Add(502, []byte(`<html><title>x</title>`))
	f.Add(200, []byte(`{"success":null,"result":null,"result_info":{"total_count":-1}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 100 || status > 999 || status == http.StatusTooManyRequests {
			return // the latter is waited for
		}
		z := open(t, func(c *cloudflare.Config) { c.Transport = always(status, "application/json", string(body)) })
		got, err := z.Records(t.Context(), entry)
		if err != nil {
			if len(err.Error()) > 16<<10 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Fatalf("got error %q of %d bytes, want a short line", err, len(err.Error()))
			}
			return
		}
		for _, r := range got {
			if r.ID == "" || !dnsaddr.OfFleet(entry, r.Name) || r.TTL <= 0 {
				t.Fatalf("got %+v, want an ID, a name of the fleet and a TTL", r)
			}
		}
	})
}
