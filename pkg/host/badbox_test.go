package host_test

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// says makes a handler that answers with one text.
func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// endless answers with a body that never ends.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
			return
		}
	}
}

// serving is a box in memory with a relay that serves.
func serving(t *testing.T) (*hosttest.Fake, *hosttest.FakeBox, fleet.Machine, *host.Hosts) {
	t.Helper()
	fake := hosttest.NewFake()
	m := machine(22)
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	if err := h.Configure(t.Context(), m, config(64), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
		t.Fatal(err)
	}
	return fake, fake.Box(addr(m)), m, h
}

const otherPeer = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"

func TestInspect_ABoxThatTalksNonsenseIsABoundedReading(t *testing.T) {
	future := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name    string
		path    string           // of the API …
		answer  http.HandlerFunc // … and what it answers
		file    string           // or a file …
		content string           // … and what it holds
		ready   bool
		want    string // in the reason or in a warning
	}{
		{name: "a body without end", path: "/readyz", answer: endless, want: "larger than allowed"},
		{name: "reservations without end", path: "/api/reservations", answer: endless, ready: true, want: "larger than allowed"},
		{name: "no JSON", path: "/readyz", answer: says(200, "<html>"), want: "not the JSON"},
		{name: "invalid UTF-8", path: "/readyz", answer: says(503, "{\"ready\":false,\"reason\":\"\xff\xfe broken\"}"), want: "broken"},
		{name: "terminal escapes", path: "/readyz", answer: says(503, `{"ready":false,"reason":"\u001b[2Jgone\u0007"}`), want: "[2Jgone"},
		{name: "a long reason", path: "/readyz", answer: says(503, `{"reason":"`+strings.Repeat("y", 100_000)+`"}`), want: "yyy"},
		{name: "no reason", path: "/readyz", answer: says(503, `{}`), want: "does not say why"},
		{name: "a server error", path: "/readyz", answer: says(500, "oops"), want: "status 500: oops"},
		{name: "a redirect", path: "/readyz", answer: http.RedirectHandler("http://elsewhere/", http.StatusFound).ServeHTTP, want: "redirect"},
		{name: "a negative counter", path: "/api/reservations", answer: says(200, `{"active":-3}`), ready: true, want: "negative"},
		{name: "no counter", path: "/api/reservations", answer: says(200, `{}`), ready: true, want: "no number"},
		{name: "a counter of another type", path: "/api/reservations", answer: says(200, `{"active":"many"}`), ready: true, want: "not the JSON"},
		{name: "another relay's peer ID", path: "/api/version", answer: says(200, `{"peer_id":"`+otherPeer+`"}`), ready: true, want: "the running daemon is " + otherPeer},
		{name: "no peer ID at all", path: "/api/version", answer: says(200, `{"peer_id":"\u001b[1mme"}`), ready: true, want: "is no peer ID"},
		{name: "no digest", path: "/api/version", answer: says(200, `{"sha256":"../../etc"}`), ready: true, want: "no SHA-256"},
		{name: "a damaged peer-id.txt", file: host.PeerIDFile, content: "\x00\x01", ready: true, want: "is no peer ID"},
		{name: "a huge peer-id.txt", file: host.PeerIDFile, content: strings.Repeat("1", 1<<20), ready: true, want: "larger than"},
		{name: "a restart in the future", file: host.Restarted, content: future, ready: true, want: "future"},
		{name: "a restart at no time", file: host.Restarted, content: "yesterday", ready: true, want: "no time"},
		{name: "many warnings", path: "/readyz", answer: says(200, `{"ready":true,"warnings":["w"`+strings.Repeat(`,"w"`, 5000)+`]}`), ready: true, want: "more warnings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake, box, m, h := serving(t)
			if c.path != "" {
				box.Route(c.path, c.answer)
			} else {
				put(t, fake, m, c.file, c.content)
			}
			got, err := h.Inspect(t.Context(), m)
			if err != nil {
				t.Fatalf("Inspect: %v", err)
			}
			said := got.Reason + "\n" + strings.Join(got.Warnings, "\n")
			if got.Ready != c.ready || !strings.Contains(said, c.want) {
				t.Errorf("Inspect = ready %t, %q; want %t, %q", got.Ready, said, c.ready, c.want)
			}
			if len(said) > 5000 || strings.ContainsAny(said, "\x1b\x07\x00") || !utf8.ValidString(said) {
				t.Errorf("Inspect passes on %d bytes: %.200q", len(said), said)
			}
			if !got.Active || !got.Restarted.IsZero() {
				t.Errorf("Inspect = active %t, restarted %s; want active, never restarted", got.Active, got.Restarted)
			}
			if c.path == "/api/reservations" && got.Reservations != -1 {
				t.Errorf("Reservations = %d where the box names none that counts, want -1", got.Reservations)
			}
		})
	}
}

func TestInspect_ABoxThatCannotBeReadIsAnError(t *testing.T) {
	_, box, m, h := serving(t)
	broken := errors.New("connection reset")
	box.Unreachable(broken)
	if got, err := h.Inspect(t.Context(), m); !errors.Is(err, broken) {
		t.Errorf("Inspect = %+v, %v; want the connection's error", got, err)
	}
	box.Unreachable(nil)
	for words, want := range map[string]string{
		"systemctl show": "exit status 127", "readlink": "exit status 127",
	} {
		box.Reply(words, strings.Repeat("\x1b[31mno such thing\n", 10_000), 127)
		_, err := h.Inspect(t.Context(), m)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 3000 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("Inspect with a box without %s = %.300v, want a bounded error with %q", words, err, want)
		}
	}
	if _, err := h.Inspect(t.Context(), fleet.Machine{Node: "nyc1-1"}); err == nil {
		t.Error("Inspect of a machine without an address succeeded")
	}
}

// contract.md section 7, row 8: a dead daemon behind working SSH was reported "ok".
func TestContract08_DeadDaemonBehindWorkingSSHIsNotOK(t *testing.T) {
	_, box, m, h := serving(t)
	box.Kill()
	got, err := h.Inspect(t.Context(), m)
	if err != nil || got.Active || got.Ready || !strings.Contains(got.Reason, "failed") || got.PeerID != box.PeerID() {
		t.Errorf("Inspect = %+v, %v; want a reading: not active, why, and whose box it is", got, err)
	}
}

// hung is a Runner and Tunnel to boxes that take every call and never answer.
type hung struct{ *hosttest.Fake }

func (hung) Run(ctx context.Context, _ sshx.Target, _ sshx.Command) (sshx.Result, error) {
	<-ctx.Done()
	return sshx.Result{}, ctx.Err()
}

func (hung) ReadFile(ctx context.Context, _ sshx.Target, _ string, _ int64) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hung) Dial(ctx context.Context, _ sshx.Target, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// contract.md section 7, row 10: no deadline anywhere, one hung relay hung the run.
func TestContract10_OneHungRelayDoesNotHangTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: hung{hosttest.NewFake()}, Tunnel: hung{hosttest.NewFake()}})
		began := time.Now()
		_, err := h.Inspect(t.Context(), machine(22))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
			t.Errorf("Inspect of a hung box = %v after %s, want its deadline at 30 s", err, time.Since(began))
		}
	})
}

// stuck opens connections on which nothing is ever said.
type stuck struct{ *hosttest.Fake }

func (stuck) Dial(context.Context, sshx.Target, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	return near, nil
}

func TestInspect_ADaemonThatNeverAnswersIsAReading(t *testing.T) {
	fake, _, m, _ := serving(t)
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: stuck{fake}})
		began := time.Now()
		got, err := h.Inspect(t.Context(), m)
		if err != nil || !got.Active || got.Ready || got.Reservations != -1 || !strings.Contains(got.Reason, "GET /readyz") {
			t.Errorf("Inspect = %+v, %v; want active, not ready, reservations unknown", got, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("Inspect took %s, want the API's deadline of 10 s", took)
		}
	})
}

func TestConfigure_TheErrorHoldsWhatTheOperatorNeeds(t *testing.T) {
	fake, box, m, _ := serving(t)
	box.Route("/readyz", says(503, `{"ready":false,"reason":"listener /ip4/0.0.0.0/tcp/9100 is not up"}`))
	box.Reply("journalctl", strings.Repeat("old\n", 50)+"last \x1b[31mwords\x1b[0m\n", 0)
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: fake, HealthyDeadline: time.Minute})
		err := h.Configure(t.Context(), m, config(64), fleet.Release{})
		var not *host.NotServing
		if !errors.As(err, &not) {
			t.Fatalf("Configure = %v, want *host.NotServing", err)
		}
		if not.Waited != time.Minute || len(not.Journal) != 20 {
			t.Errorf("waited %s, %d lines; want 1m0s and 20", not.Waited, len(not.Journal))
		}
		for _, want := range []string{"wait until the relay serves", "1m0s", "listener /ip4/0.0.0.0/tcp/9100 is not up", "relay.service is active", "last [31mwords[0m"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error %q does not say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), "\x1b") || fleet.Hint(err) == "" {
			t.Errorf("the error %q has an escape or no hint", err)
		}
	})
}

func TestConfigure_DoesNotWaitForAProcessThatHasEnded(t *testing.T) {
	fake := hosttest.NewFake()
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: fake})
		began := time.Now()
		err := h.Configure(t.Context(), machine(22), "broken", rel)
		if err == nil || !strings.Contains(err.Error(), "is failed") || time.Since(began) > time.Second {
			t.Errorf("Configure = %v after %s, want the failed unit at once", err, time.Since(began))
		}
	})
}

func TestConfigure_RefusesABinaryForAnotherSystem(t *testing.T) {
	fake := hosttest.NewFake()
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	err := h.Configure(t.Context(), machine(22), config(1), hosttest.Release(t, hosttest.Program(t, elf.EM_AARCH64), 1))
	if err == nil || !strings.Contains(err.Error(), "built for linux/arm64, the box is linux/amd64") || !strings.Contains(fleet.Hint(err), "GOARCH=amd64 make build") {
		t.Errorf("Configure = %v with hint %q, want both systems and the command that helps", err, fleet.Hint(err))
	}
	if files := fake.Box(addr(machine(22))).Files(); len(files) != 1 { // the audit log
		t.Errorf("the box holds %q, want nothing installed", files)
	}
}

func TestConfigure_WithoutAnyBinaryNamesTheCommandThatMakesOne(t *testing.T) {
	fake := hosttest.NewFake()
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	err := h.Configure(t.Context(), machine(22), config(1), fleet.Release{})
	if err == nil || !strings.Contains(fleet.Hint(err), "make build") {
		t.Errorf("Configure = %v with hint %q, want a hint that names make build", err, fleet.Hint(err))
	}
}

func TestConfigure_AssertsTheBinaryThatRuns(t *testing.T) {
	_, box, m, h := serving(t)
	box.Route("/api/version", says(200, fmt.Sprintf(`{"sha256":%q}`, strings.Repeat("a", 64))))
	err := h.Configure(t.Context(), m, config(65), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 2))
	if err == nil || !strings.Contains(err.Error(), "another binary") {
		t.Errorf("Configure = %v, want that another binary runs", err)
	}
}

func TestConfigure_ARunningRelayThatDoesNotAnswerIsNotRestarted(t *testing.T) {
	fake, box, m, _ := serving(t)
	box.Route("/readyz", says(503, `{"reason":"busy"}`))
	box.Route("/api/version", says(500, ``))
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: fake, HealthyDeadline: time.Second})
		if err := h.Configure(t.Context(), m, config(64), fleet.Release{}); err == nil {
			t.Error("Configure of a relay that is not ready succeeded")
		}
	})
	if n := box.Started(); n != 1 {
		t.Errorf("the relay was started %d times, want once", n)
	}
}

func TestConfigure_EndsWithItsContext(t *testing.T) {
	fake, box, m, _ := serving(t)
	box.Route("/readyz", says(503, `{"reason":"starting"}`))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		h := host.New(host.Config{Runner: fake, Tunnel: fake})
		began := time.Now()
		err := h.Configure(ctx, m, config(64), fleet.Release{})
		if !errors.Is(err, context.Canceled) || time.Since(began) != 3*time.Second {
			t.Errorf("Configure = %v after %s, want canceled after 3s", err, time.Since(began))
		}
	})
}
