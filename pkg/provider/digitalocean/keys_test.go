package digitalocean_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// kept are keys that somebody put on the account by hand.
func kept(t *testing.T, n int) (lines []string, keys []ssh.PublicKey) {
	t.Helper()
	for i := range n {
		seed := make([]byte, 51)
		copy(seed, "\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20")
		seed[20] = byte(i + 1)
		key, err := ssh.ParsePublicKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		lines = append(lines, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))+fmt.Sprintf(" her%d@laptop", i+1))
	}
	return lines, keys
}

// keep puts keys on the account.
func (w *world) keep(t *testing.T, lines ...string) {
	t.Helper()
	for i, line := range lines {
		body, err := json.Marshal(map[string]string{"name": "key " + strconv.Itoa(i), "public_key": line})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/account/keys", strings.NewReader(string(body)))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		w.cloud.Handler().ServeHTTP(rec, r)
		if rec.Code != http.StatusCreated {
			t.Fatalf("put a key on the account: got %d %s", rec.Code, rec.Body)
		}
	}
}

func (w *world) authorized(t *testing.T, d dotest.Droplet) string {
	t.Helper()
	text, ok := w.boxes.Box(d.ID).File("/home/fleetctl/.ssh/authorized_keys")
	if !ok {
		t.Fatalf("%s: it has no authorized_keys", d.Name)
	}
	return text
}

// A key is a line that is added, and no reason for another machine, however it is named.
func TestKeys_NamedByFingerprintAreLetIntoMachinesThatRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		before := w.cloud.Droplets(token)
		lines, keys := kept(t, 2)
		w.keep(t, lines...)
		for _, named := range [][]string{
			{"MD5:" + ssh.FingerprintLegacyMD5(keys[0])},
			{ssh.FingerprintSHA256(keys[0]), ssh.FingerprintLegacyMD5(keys[1])},
		} {
			w.spec.Ocean.SSHKeys = named
			st, err := fleet.Observe(t.Context(), w.backends(), w.spec)
			if err != nil {
				t.Fatal(err)
			}
			plan := fleet.Diff(w.spec, st, fleet.Intent{Release: w.rel})
			for _, s := range plan.Stages {
				for _, c := range s.Changes {
					if c.Action != fleet.ActionSettle || len(c.Fields) != 1 || c.Fields[0].Name != "ssh keys" {
						t.Errorf("%q: got the change %+v, want nothing but keys that are added", named, c)
					}
				}
			}
			if len(plan.Problems()) > 0 || plan.Empty() {
				t.Errorf("%q: got a plan that is empty: %t, with the problems %+v; want keys in it and no problem", named, plan.Empty(), plan.Problems())
			}
			must(t, "up with a key more", w, fleet.Intent{})
		}
		after := w.cloud.Droplets(token)
		for i, d := range after {
			if d.ID != before[i].ID {
				t.Errorf("droplet %d: got another one, %d", before[i].ID, d.ID)
			}
			for _, line := range append([]string{operatorKey}, lines...) {
				if n := strings.Count(w.authorized(t, d), line+"\n"); n != 1 {
					t.Errorf("%s: got %q %d times, want it once among\n%s", d.Name, line, n, w.authorized(t, d))
				}
			}
		}
	})
}

func TestKeys_TheAccountDoesNotKnowAreNamedAndTheOthersLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		lines, keys := kept(t, 2)
		w.keep(t, lines[0])
		gone := ssh.FingerprintSHA256(keys[1])
		w.spec.Ocean.SSHKeys = []string{ssh.FingerprintSHA256(keys[0]), gone}
		w.cloud.ResetCalls()
		o, err := w.converge(t.Context(), fleet.Intent{})
		if err != nil {
			t.Fatal(err)
		}
		problems := o.Plan.Problems()
		if len(problems) != 3 {
			t.Errorf("got %d problems %+v, want one of each machine", len(problems), problems)
		}
		for _, k := range problems {
			if !strings.Contains(k.Reason, "the account has no SSH key "+gone) {
				t.Errorf("%s: got %q, want %s named", k.Ref.Node, k.Reason, gone)
			}
		}
		if n := w.cloud.Calls()["GET /v2/account/keys"]; n != 1 {
			t.Errorf("got %d lists of keys in one process, want 1", n)
		}
		for _, d := range w.cloud.Droplets(token) {
			if !strings.Contains(w.authorized(t, d), lines[0]) {
				t.Errorf("%s: got %q, want the key that is known in it", d.Name, w.authorized(t, d))
			}
		}
	})
}
