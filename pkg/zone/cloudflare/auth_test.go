package cloudflare_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/credential"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

const secret = "not_to_be_seen_0123456789"

func TestToken_ThatIsWrongNamesItsSourceAndNeverItself(t *testing.T) {
	for name, tc := range map[string]struct {
		tokens []cftest.Token
		words  []string
	}{
		"unknown":  {nil, []string{"9109 Invalid access token"}},
		"disabled": {[]cftest.Token{{Value: secret, Disabled: true, Grants: []cftest.Grant{{May: cftest.All}}}}, []string{"10000 Authentication error"}},
		"of another zone": {[]cftest.Token{{Value: secret, Grants: []cftest.Grant{{Zone: "other.test", May: cftest.All}}}},
			[]string{"10000 Authentication error"}},
	} {
		t.Run(name, func(t *testing.T) {
			zones := []cftest.Zone{{Name: apex}, {Name: "other.test"}}
			bubble(t, cftest.Config{Zones: zones, Tokens: append(tc.tokens, cftest.Token{Value: "somebody"})}, func(t *testing.T, r *rig) {
				z := r.zone(func(c *cloudflare.Config) { c.Token = tokenIs(secret) })
				_, err := z.Records(t.Context(), entry)
				wantErr(t, "Records", err, dnsaddr.ErrAuth, append(tc.words, "THE_TEST_TOKEN", "cf-ray ", "Zone.DNS:Edit", "Zone.Zone:Read")...)
				if strings.Contains(err.Error()+fleet.Hint(err)+r.log.String(), secret) {
					t.Errorf("the token is shown: %v", err)
				}
				if r.total() != 1 {
					t.Errorf("got %d requests, want 1", r.total())
				}
			})
		})
	}
}

func TestToken_ThatCannotBeOneIsNeverSent(t *testing.T) {
	env := func(value string) func(string) string { return func(string) string { return value } }
	for name, tc := range map[string]struct{ value, want string }{
		"missing":        {"", "not set"},
		"quotes":         {`"` + secret + `"`, "it holds a quote"},
		"single quotes":  {`'` + secret + `'`, "it holds a quote"},
		"newline within": {secret + "\n" + secret, "not one word"},
		"bearer":         {"Bearer " + secret, "not one word"},
		"brackets":       {"<" + secret + ">", "not one word"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
				z := r.zone(func(c *cloudflare.Config) {
					c.Token = credential.From(fleet.SecretSpec{}, []string{"CLOUDFLARE_API_TOKEN"}, env(tc.value), nil)
				})
				_, err := z.Records(t.Context(), entry)
				wantErr(t, "Records", err, dnsaddr.ErrAuth, tc.want, "CLOUDFLARE_API_TOKEN", "without quotes, spaces or line breaks")
				if strings.Contains(err.Error()+fleet.Hint(err)+r.log.String(), secret) {
					t.Errorf("the token is shown: %v", err)
				}
				if r.total() != 0 {
					t.Errorf("got %d requests, want none", r.total())
				}
			})
		})
	}
}

func TestToken_WithALineBreakAtItsEndWorks(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		z := r.zone(func(c *cloudflare.Config) {
			c.Token = credential.From(fleet.SecretSpec{}, []string{"X"}, func(string) string { return cftest.DefaultToken + "\r\n" }, nil)
		})
		records(t, z)
	})
}

func TestToken_WithoutWriteIsSaidAndNothingChanges(t *testing.T) {
	tokens := []cftest.Token{{Value: secret, Grants: []cftest.Grant{{Zone: apex, May: cftest.ZoneRead | cftest.DNSRead}}}}
	bubble(t, cftest.Config{Tokens: tokens}, func(t *testing.T, r *rig) {
		z := r.zone(func(c *cloudflare.Config) { c.Token = tokenIs(secret) })
		err := z.Apply(t.Context(), entry, dnsaddr.Changes{Add: several(1, 1)})
		wantErr(t, "Apply", err, dnsaddr.ErrAuth, "10000", "THE_TEST_TOKEN", "Zone.DNS:Edit")
		if got := r.Cloud.Records(apex); len(got) != 0 {
			t.Errorf("got %+v, want nothing", got)
		}
	})
}

// A token that may write records and not read the zone can still be used with a zone ID.
func TestToken_WithoutZoneReadWorksWithTheZoneID(t *testing.T) {
	tokens := []cftest.Token{{Value: secret, Grants: []cftest.Grant{{Zone: apex, May: cftest.DNSEdit}}}}
	bubble(t, cftest.Config{Tokens: tokens}, func(t *testing.T, r *rig) {
		z := r.zone(func(c *cloudflare.Config) { c.Token = tokenIs(secret) })
		apply(t, z, dnsaddr.Changes{Add: several(1, 3)})
		if got := r.values(); len(got) != 3 {
			t.Errorf("got %q, want three texts", got)
		}
		if s := z.Status(t.Context()); s.Serving || !strings.Contains(s.Reason, "Zone.Zone:Read") && !strings.Contains(s.Reason, "9109") {
			t.Errorf("got %+v, want that it is not known", s)
		}
		byItsName := r.zone(func(c *cloudflare.Config) { c.Token, c.ZoneID = tokenIs(secret), "" })
		_, err := byItsName.Records(t.Context(), entry)
		wantErr(t, "by name", err, dnsaddr.ErrAuth, "Zone.Zone:Read")
	})
}

func TestToken_GoesToTheAPIAlone(t *testing.T) {
	var seen []string
	answers := func(status int, header http.Header, body string) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.URL.Host)
			return respond(r, status, header, body), nil
		})
	}
	z := open(t, func(c *cloudflare.Config) {
		c.Transport = answers(302, http.Header{"Location": {"https://evil.example/steal"}}, "<html><title>Moved</title></html>")
	})
	_, err := z.Records(t.Context(), entry)
	wantErr(t, "Records", err, nil, "302", "Moved")
	for _, host := range seen {
		if host != "api.cloudflare.com" {
			t.Errorf("the token was sent to %s", host)
		}
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*cloudflare.Config)
		want   string
	}{
		"no token":          {func(c *cloudflare.Config) { c.Token = nil }, "a token is needed"},
		"no domain":         {func(c *cloudflare.Config) { c.Domain = "" }, "not a domain name"},
		"domain in Unicode": {func(c *cloudflare.Config) { c.Domain = "bücher.example" }, "not a domain name"},
		"zone ID is a path": {func(c *cloudflare.Config) { c.ZoneID = "../../user/tokens/verify?x=abcdef" }, "32 hex digits"},
		"zone ID is short":  {func(c *cloudflare.Config) { c.ZoneID = "023e105f4ecef8ad9ca31a8372d0c35" }, "32 hex digits"},
		"plain http":        {func(c *cloudflare.Config) { c.BaseURL = "http://api.cloudflare.com/client/v4" }, "without TLS"},
		"no host":           {func(c *cloudflare.Config) { c.BaseURL = "https:///client/v4" }, "want a scheme, a host"},
		"with a password":   {func(c *cloudflare.Config) { c.BaseURL = "https://u:" + secret + "@api.example/" }, "want a scheme, a host"},
		"no URL":            {func(c *cloudflare.Config) { c.BaseURL = "::" }, "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cloudflare.Config{Domain: domain, Token: tokenIs(secret)}
			tc.change(&cfg)
			_, err := cloudflare.New(cfg)
			wantErr(t, "New", err, nil, tc.want)
			if strings.Contains(err.Error()+fleet.Hint(err), secret) {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
	for _, base := range []string{"", "https://api.example", "http://127.0.0.1:80/client/v4", "http://localhost:80/client/v4/", "http://[::1]:80/"} {
		if _, err := cloudflare.New(cloudflare.Config{Domain: "_x.xn--bcher-kva.example", Token: tokenIs(secret), BaseURL: base}); err != nil {
			t.Errorf("base URL %q: got %v, want none", base, err)
		}
	}
}

// roundTrip is a transport of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// open is a handle on a zone that one transport plays.
func open(t testing.TB, change func(*cloudflare.Config)) *cloudflare.Zone {
	t.Helper()
	cfg := cloudflare.Config{
		Domain: domain, ZoneID: strings.Repeat("a", 32), Token: tokenIs(secret),
		Waits: cloudflare.Waits{Every: time.Microsecond, Backoff: time.Microsecond, Settle: time.Microsecond},
	}
	change(&cfg)
	z, err := cloudflare.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// always answers every request with the same.
func always(status int, kind, body string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		return respond(r, status, http.Header{"Content-Type": {kind}, "Cf-Ray": {"8a\x1b[31m-TST"}}, body), nil
	})
}

func respond(r *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{
		Status: fmt.Sprint(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(), Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
	}
}
