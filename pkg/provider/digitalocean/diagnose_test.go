package digitalocean

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// findings are what is wrong, by what was looked at.
func findings(all []diagnosis.Finding) map[string]string {
	out := make(map[string]string)
	for _, f := range all {
		out[f.Check] = ""
		if f.Err != nil {
			out[f.Check] = f.Err.Error()
		}
	}
	return out
}

func TestDiagnose_SaysWhatIsWrongWithTheTokenAndTheAccountAndChangesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		account dotest.Account
		token   string
		check   string
		want    string
	}{
		"all is well":     {dotest.Account{Token: "a"}, "a", "account", ""},
		"wrong token":     {dotest.Account{Token: "a"}, "b", "token", "401"},
		"locked account":  {dotest.Account{Token: "a", Status: "locked", StatusMessage: "unpaid"}, "a", "account", "unpaid"},
		"a scope too few": {dotest.Account{Token: "a", Scopes: []string{"account:read", "droplet:read"}}, "a", "token scopes", "403"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dotest.Config{Accounts: []dotest.Account{tt.account}}, func(t *testing.T, r *rig) {
				p := r.provider(func(c *Config) { c.Token = tokenIs(tt.token) })
				got, looked := findings(p.Diagnose(t.Context()))[tt.check]
				if !looked || tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
					t.Errorf("%s: got %q, looked at %t, want %q", tt.check, got, looked, tt.want)
				}
				if strings.Contains(got, tt.token+" ") && len(tt.token) > 1 {
					t.Errorf("%s shows the token: %q", tt.check, got)
				}
				for call := range r.Calls() {
					if !strings.HasPrefix(call, "GET ") {
						t.Errorf("%s was called", call)
					}
				}
			})
		})
	}
}

func TestDiagnose_TriesEveryScopeThatReads(t *testing.T) {
	reads := []string{"account:read", "droplet:read", "firewall:read", "sizes:read", "regions:read", "image:read", "ssh_key:read", "tag:read"}
	for _, lacking := range reads[1:] {
		account := dotest.Account{Token: "a"}
		for _, scope := range reads {
			if scope != lacking {
				account.Scopes = append(account.Scopes, scope)
			}
		}
		bubble(t, dotest.Config{Accounts: []dotest.Account{account}}, func(t *testing.T, r *rig) {
			p := r.provider(func(c *Config) { c.Token = tokenIs("a") })
			if got := findings(p.Diagnose(t.Context()))["token scopes"]; !strings.Contains(got, "403") {
				t.Errorf("without %s: got %q, want that it is refused", lacking, got)
			}
		})
	}
}

func TestDiagnose_AKeyThatTheAccountDoesNotHaveIsNamed(t *testing.T) {
	const lost = "3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa"
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.spec.Ocean.SSHKeys = []string{lost}
		if got := findings(r.provider(nil).Diagnose(t.Context()))["account keys"]; !strings.Contains(got, lost) {
			t.Errorf("got %q, want the key named", got)
		}
	})
}

func TestDiagnose_AClockThatIsFarOffIsNamed(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	answer := &godo.Response{Response: &http.Response{Header: http.Header{"Date": {"Wed, 25 Nov 2026 11:58:00 GMT"}}}}
	if f := skew(answer, now); f.Err == nil || !strings.Contains(f.Err.Error(), "2m0s") {
		t.Errorf("two minutes off: got %+v", f)
	}
	if f := skew(answer, now.Add(-110*time.Second)); f.Err != nil {
		t.Errorf("ten seconds off: got %v", f.Err)
	}
	if f := skew(&godo.Response{Response: &http.Response{}}, now); f.Err != nil || f.Detail == "" {
		t.Errorf("no date: got %+v", f)
	}
}
