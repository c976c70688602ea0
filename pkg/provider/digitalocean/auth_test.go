package digitalocean

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func stringBody(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

const secret = "dop_v1_not_to_be_seen"

func TestToken_ThatIsWrongNamesItsSourceAndNeverItself(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.provider(func(c *Config) { c.Token = tokenIs(secret) })
		_, err := p.Machines(t.Context())
		wantErr(t, "Machines", err, fleet.ErrAuth, "THE_TEST_TOKEN", "401 unauthorized", "request ")
		if strings.Contains(err.Error()+fleet.Hint(err)+r.log.String(), secret) {
			t.Errorf("the token is shown: %v", err)
		}
		if got := r.count(listDroplet); got != 1 {
			t.Errorf("got %d requests, want 1", got)
		}
	})
}

func TestToken_WithoutAScopeNamesTheScope(t *testing.T) {
	all := []string{
		"account:read", "actions:read", "droplet:create", "droplet:read", "droplet:update", "droplet:delete", "tag:create", "tag:read", "tag:delete",
		"ssh_key:create", "ssh_key:read", "ssh_key:delete", "firewall:create", "firewall:read", "firewall:update", "firewall:delete",
		"image:read", "vpc:read", "sizes:read", "regions:read",
	}
	for scope, call := range map[string]func(context.Context, *Provider) error{
		"droplet:read":    func(ctx context.Context, p *Provider) error { _, err := p.Machines(ctx); return err },
		"droplet:create":  func(ctx context.Context, p *Provider) error { _, err := p.Create(ctx, order("nyc1-1")); return err },
		"vpc:read":        func(ctx context.Context, p *Provider) error { _, err := p.Create(ctx, order("nyc1-1")); return err },
		"droplet:delete":  func(ctx context.Context, p *Provider) error { return p.Delete(ctx, p.known("id")) },
		"tag:create":      func(ctx context.Context, p *Provider) error { return mark(ctx, p, "phase", "doomed") },
		"ssh_key:read":    func(ctx context.Context, p *Provider) error { return p.EnsureKey(ctx, keyOf(9)) },
		"ssh_key:create":  func(ctx context.Context, p *Provider) error { return p.EnsureKey(ctx, keyOf(9)) },
		"firewall:read":   func(ctx context.Context, p *Provider) error { return p.EnsureFirewall(ctx) },
		"firewall:create": func(ctx context.Context, p *Provider) error { return p.EnsureFirewall(ctx) },
		"account:read":    quote, "sizes:read": quote, "regions:read": quote, "image:read": quote,
	} {
		t.Run(scope, func(t *testing.T) {
			bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
				p := r.ready()
				m := create(t, p, order("nyc1-1"))
				p.learn("ID") // the tests above name their machine so
				p.canon["id"] = m.ID
				var scopes []string
				for _, s := range all {
					if s != scope {
						scopes = append(scopes, s)
					}
				}
				r.SetAccount(dotest.Account{Token: dotest.DefaultToken, Scopes: scopes})
				err := call(t.Context(), p)
				wantErr(t, "without "+scope, err, fleet.ErrAuth, "403 forbidden", "THE_TEST_TOKEN", "give the token the scope", scope)
			})
		})
	}
}

func mark(ctx context.Context, p *Provider, key, value string) error {
	return p.Mark(ctx, p.known("id"), map[string]string{key: value}, nil)
}

func quote(ctx context.Context, p *Provider) error {
	_, err := p.Quote(ctx, []fleet.NewMachine{order("nyc1-1")})
	return err
}

func TestAccount_ThatIsLockedIsSaidSo(t *testing.T) {
	locked := dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, Status: "locked", StatusMessage: "Pay\x1b your bill."}}}
	bubble(t, locked, func(t *testing.T, r *rig) {
		err := quote(t.Context(), r.provider(nil))
		wantErr(t, "Quote", err, fleet.ErrAuth, "the account is locked: Pay your bill.", "cloud.digitalocean.com")
		err = r.provider(nil).EnsureKey(t.Context(), operatorKey)
		wantErr(t, "EnsureKey", err, fleet.ErrAuth, "the account is locked")
	})
}

func TestAccount_WithAWarningMayBuy(t *testing.T) {
	warned := dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, Status: "warning", StatusMessage: "Card expires."}}}
	bubble(t, warned, func(t *testing.T, r *rig) {
		must(t, "Quote", quote(t.Context(), r.provider(nil)))
		if !strings.Contains(r.log.String(), "Card expires.") {
			t.Errorf("got log %q, want the warning", r.log)
		}
	})
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTokenFrom_FindsItWhereTheSpecSays(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	both := env("DIGITALOCEAN_ACCESS_TOKEN", "second", "DIGITALOCEAN_TOKEN", " first\n", "MINE", "mine", "BAD", "two words")
	for _, tc := range []struct {
		what         string
		spec         fleet.SecretSpec
		env          func(string) string
		want, source string // no want: an error
		words        string
	}{
		{what: "first variable", env: both, want: "first", source: "DIGITALOCEAN_TOKEN"},
		{what: "second variable", env: env("DIGITALOCEAN_ACCESS_TOKEN", "second"), want: "second", source: "DIGITALOCEAN_ACCESS_TOKEN"},
		{what: "none", env: env(), source: "DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN", words: "not set"},
		{what: "blank", env: env("DIGITALOCEAN_TOKEN", " \n"), source: "DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN", words: "not set"},
		{what: "named variable", spec: fleet.SecretSpec{Env: "MINE"}, env: both, want: "mine", source: "MINE"},
		{what: "named variable that is not set", spec: fleet.SecretSpec{Env: "YOURS"}, env: both, source: "YOURS", words: "not set"},
		{what: "no word", spec: fleet.SecretSpec{Env: "BAD"}, env: both, source: "BAD", words: "not one word"},
		{what: "file", spec: fleet.SecretSpec{File: file("good", "\tfiled\n", 0o600)}, env: both, want: "filed", source: "file " + dir + "/good"},
		{what: "file that others read", spec: fleet.SecretSpec{File: file("open", secret, 0o644)}, env: both, source: "file " + dir + "/open", words: "its mode is 0644: want 0600"},
		{what: "file that the group reads", spec: fleet.SecretSpec{File: file("group", secret, 0o640)}, env: both, source: "file " + dir + "/group", words: "want 0600"},
		{what: "empty file", spec: fleet.SecretSpec{File: file("empty", "\n", 0o600)}, env: both, source: "file " + dir + "/empty", words: "empty"},
		{what: "long file", spec: fleet.SecretSpec{File: file("long", strings.Repeat("x", 1<<20), 0o600)}, env: both, source: "file " + dir + "/long", words: "more than 4096 bytes"},
		{what: "no file", spec: fleet.SecretSpec{File: "none"}, env: both, source: "file " + dir + "/none", words: "no such file"},
		{what: "directory", spec: fleet.SecretSpec{File: "."}, env: both, source: "file " + dir, words: "not a file"},
		{what: "command", spec: fleet.SecretSpec{Command: []string{"echo", "printed"}}, env: both, want: "printed", source: "command echo"},
		{what: "command that fails", spec: fleet.SecretSpec{Command: []string{"sh", "-c", "echo " + secret + "; echo no vault >&2; exit 3"}}, env: both, source: "command sh", words: "exit status 3"},
		{what: "command that prints too much", spec: fleet.SecretSpec{Command: []string{"sh", "-c", "yes | head -c 9000000 | tr -d '\\n'"}}, env: both, source: "command sh", words: "more than 4096 bytes"},
		{what: "no command", spec: fleet.SecretSpec{Command: []string{"/no/such/program"}}, env: both, source: "command /no/such/program", words: "no such file"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			path := func(name string) string { return filepath.Join(dir, name) }
			got, source, err := TokenFrom(tc.spec, tc.env, path)(t.Context())
			if got != tc.want || source != tc.source {
				t.Errorf("got %q from %q, want %q from %q", got, source, tc.want, tc.source)
			}
			if tc.want == "" {
				wantErr(t, tc.what, err, fleet.ErrAuth, "API token from "+tc.source, tc.words, "DIGITALOCEAN_TOKEN")
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the token is shown: %v", err)
				}
			} else if err != nil {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestTokenFrom_ACommandThatHangsEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, _, err := TokenFrom(fleet.SecretSpec{Command: []string{"sh", "-c", "sleep 600 & wait"}}, env(), nil)(ctx)
	wantErr(t, "a command that hangs", err, context.DeadlineExceeded, "command sh")
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it was waited for %s", d)
	}
}

func TestToken_IsReadOnceAndNotBeforeItIsNeeded(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		n := 0
		p := r.provider(func(c *Config) {
			c.Token = func(context.Context) (string, string, error) { n++; return dotest.DefaultToken, "here", nil }
		})
		if n != 0 {
			t.Errorf("it was read %d times by New, want 0", n)
		}
		must(t, "reads", reads(t, p, 5))
		if n != 1 {
			t.Errorf("it was read %d times, want 1", n)
		}
	})
}
