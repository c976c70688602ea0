package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/web"
)

func TestServe_AnswersBeyondLoopbackOnlyWithTLSAndAToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:8484", "fleet.example:8484"} {
		for _, f := range []serveFlags{{listen: listen}, {listen: listen, tokenFile: token}} {
			a, _, _ := testApp(t)
			a.dir = t.TempDir()
			if _, err := a.openDoor(f); exitCode(err) != exitRefused || fleet.Hint(err) == "" {
				t.Errorf("--listen %s, token %v, no TLS: %v (exit %d), want it refused with exit %d and a hint", listen, f.tokenFile != "", err, exitCode(err), exitRefused)
			}
		}
	}
	cert, key := certify(t, t.TempDir(), 1, time.Now())
	for name, c := range map[string]struct {
		serveFlags
		refused bool
	}{
		"TLS without a token":   {serveFlags{listen: ":0", tlsCert: cert, tlsKey: key}, true},
		"TLS and a token":       {serveFlags{listen: ":0", tlsCert: cert, tlsKey: key, tokenFile: token}, false},
		"a certificate, no key": {serveFlags{listen: defaultListen, tlsCert: cert}, true},
		"a key, no certificate": {serveFlags{listen: defaultListen, tlsKey: key}, true},
	} {
		a, _, _ := testApp(t)
		d, err := a.openDoor(c.serveFlags)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v, want it refused: %v", name, err, c.refused)
		}
		if err == nil && (d.token == "" || d.tls == nil || d.tls.MinVersion < tls.VersionTLS12 || d.certificate == nil) {
			t.Errorf("%s: the door is %+v, want it to ask for the token over TLS 1.2 or newer", name, d)
		}
	}
	for _, listen := range []string{"127.0.0.1:0", "localhost:8484", "[::1]:0", "127.3.2.1:1"} {
		a, _, _ := testApp(t)
		if _, err := a.openDoor(serveFlags{listen: listen}); err != nil {
			t.Errorf("--listen %s: %v, want no error", listen, err)
		}
	}
}

func TestServe_ATokenThatCouldBeGuessedIsRefused(t *testing.T) {
	a, _, _ := testApp(t)
	a.env = func(name string) (string, bool) {
		if name == serveToken {
			return "letmein", true
		}
		return "", false
	}
	_, err := a.openDoor(serveFlags{listen: defaultListen})
	if exitCode(err) != exitAuth || strings.Contains(err.Error(), "letmein") {
		t.Errorf("a token of 7 characters: %v (exit %d), want exit %d and no word of it", err, exitCode(err), exitAuth)
	}
}

func TestServe_AgreesWithMonitoringOnTheAddress(t *testing.T) {
	if want := "http://" + defaultListen; defaultServe != want {
		t.Errorf("monitoring looks for serve at %s, and serve answers at %s", defaultServe, want)
	}
}

func TestOverlay_ASignCorrectsWhatTheLookFound(t *testing.T) {
	yes, held := true, 7
	found := web.Relay{Node: "nyc1-1", State: "serving", Verified: &yes, Reservations: &held, Users: &held}
	for _, test := range []struct {
		state    string
		sign     life
		want     string
		verified bool // still known
		held     bool // likewise
	}{
		{"serving", lifeReady, "serving", true, true},
		{"serving", lifeAnswers, "serving", true, true},
		{"serving", lifeDown, "down", false, false},
		{"serving", lifeUnknown, "unreadable", true, false},
		{"serving", lifeNotReady, "not ready", true, true},
		{"full", lifeDraining, "draining", true, true},
		{"down", lifeReady, "ready", false, true},
		{"unreadable", lifeReady, "ready", false, true},
		{"down", lifeUnknown, "unreadable", true, false},
		{"outgoing", lifeReady, "outgoing", true, true},
		{"stopped", lifeDown, "stopped", true, false},
		{"unknown", lifeReady, "serving", true, true}, // a probe verified it
		{"unknown", lifeDraining, "draining", true, true},
		{"unknown", lifeUnknown, "unreadable", true, false},
	} {
		r := found
		r.State = test.state
		got := overlay(r, sign{life: test.sign, reason: "why"})
		if got.State != test.want || (got.Verified != nil) != test.verified || (got.Reservations != nil) != test.held {
			t.Errorf("%s, then %s: %s, verified known %v, reservations known %v, want %s, %v, %v",
				test.state, test.sign, got.State, got.Verified != nil, got.Reservations != nil, test.want, test.verified, test.held)
		}
	}
}

func TestTransitions_AreToldOnce(t *testing.T) {
	now := time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)
	fleetOf := func(states ...string) web.Fleet {
		f := web.Fleet{Name: "demo", LookedAt: now}
		for i, s := range states {
			f.Relays = append(f.Relays, web.Relay{Node: []string{"a-1", "b-1", "b-1"}[i], State: s, Reason: "why"})
		}
		return f
	}
	got := transitions(fleetOf("serving", "serving"), fleetOf("serving", "down"), now)
	if len(got) != 1 || got[0].Text != "b-1 is down: why" || got[0].Node != "b-1" {
		t.Errorf("one relay went down: %+v, want that alone", got)
	}
	if got := transitions(fleetOf("serving", "outgoing", "serving"), fleetOf("serving", "outgoing", "serving"), now); got != nil {
		t.Errorf("nothing changed about the two machines of a node: %+v, want no event", got)
	}
	if got := transitions(web.Fleet{Name: "demo"}, fleetOf("serving"), now); got != nil {
		t.Errorf("the first look: %+v, want nothing to have happened", got)
	}
}

func TestCommandsIn_ReadsTheNewestFirstAndSkipsWhatIsCutOff(t *testing.T) {
	log := `result":"done"}
{"at":"2026-03-02T03:04:05Z","user":"ada","host":"box","command":["up","--yes"],"result":"begun"}
{"at":"2026-03-02T03:05:05Z","user":"ada","host":"box","command":["up","--yes"],"result":"failed","error":"nyc1-1: no room"}
{"at":"2026-03-02T03:0`
	got := commandsIn([]byte(log))
	if len(got) != 2 || got[0].Text != "fleetctl up --yes: failed, by ada@box: nyc1-1: no room" {
		t.Errorf("commands: %+v, want two, the failure first", got)
	}
}
