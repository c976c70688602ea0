package host_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// old is a box on which others run a relay, and it answers as old relays do.
func old(t *testing.T) (*hosttest.Fake, *hosttest.FakeBox, fleet.Machine, *host.Hosts) {
	t.Helper()
	fake, box, m, h := debian(t)
	m.State, m.Adopted = "/var/lib/bitterbot", true
	box.Others("bitterbot-relay.service")
	box.PutFile("/var/lib/bitterbot/node.key", bytes.Repeat([]byte{7}, 32))
	box.Route("/api/stats", says(200, `{"peer_id":"`+otherPeer+`"}`))
	box.Route("/api/version", says(404, "no"))
	box.Route("/api/reservations", says(404, "no"))
	box.Route("/readyz", says(404, "no"))
	return fake, box, m, h
}

func TestInspect_AnAdoptedBoxIsReadByWhatOldRelaysHave(t *testing.T) {
	_, box, m, h := old(t)
	before := box.Files()
	got, err := h.Inspect(t.Context(), m)
	if err != nil || !got.Installed || !got.Active || !got.Ready || got.PeerID != otherPeer || got.Reservations != -1 || len(got.Warnings) != 0 || len(got.Drift) != 0 {
		t.Errorf("Inspect = %+v, %v; want it active and ready, its peer ID, reservations unknown, nothing to put right", got, err)
	}
	if after := box.Files(); !slices.Equal(before, after) || len(box.Effects()) != 0 {
		t.Errorf("Inspect left %q and did %q, want nothing changed", after, box.Effects())
	}
}

func TestInspect_AnAdoptedBoxWhoseRelayIsDeadSaysWhoItWas(t *testing.T) {
	id, err := multiaddr.NewComponent("p2p", otherPeer)
	if err != nil {
		t.Fatal(err)
	}
	public := id.RawValue()[6:] // behind the multihash's and the protobuf's heads
	for _, c := range []struct {
		name, file string
		body       []byte
		want, warn string
	}{
		{"its peer ID", "peer-id.txt", []byte(otherPeer + "\n"), otherPeer, ""},
		{"its public key", "node.pub", public, otherPeer, ""},
		{"half a public key", "node.pub", public[:16], "", "16 bytes"},
		{"nonsense", "peer-id.txt", []byte("\x1b[2J"), "", "is no peer ID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, box, m, h := debian(t)
			m.State, m.Adopted = "/var/lib/bitterbot", true
			box.PutFile("/var/lib/bitterbot/"+c.file, c.body)
			got, err := h.Inspect(t.Context(), m)
			if err != nil || got.Active || got.Ready || !got.Installed || !strings.Contains(got.Reason, "nothing answers") {
				t.Errorf("Inspect = %+v, %v; want a reading: not active, and why", got, err)
			}
			if got.PeerID != c.want {
				t.Errorf("PeerID = %q, want %q", got.PeerID, c.want)
			}
			if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, c.warn) {
				t.Errorf("warnings = %q, want %q", said, c.warn)
			}
		})
	}
}

func TestAdopted_NothingIsChangedBeforeItIsTakenOver(t *testing.T) {
	_, box, m, h := old(t)
	before := box.Files()
	for name, do := range map[string]func() error{
		"Configure":   func() error { return h.Configure(t.Context(), m, config(64), fleet.Release{}) },
		"Settle":      func() error { return h.Settle(t.Context(), m) },
		"Introduce":   func() error { return h.Introduce(t.Context(), m, []string{"/ip4/192.0.2.7/tcp/1"}) },
		"Drain":       func() error { return h.Drain(t.Context(), m) },
		"Stop":        func() error { return h.Stop(t.Context(), m) },
		"Uninstall":   func() error { return h.Uninstall(t.Context(), m) },
		"CarryCensus": func() error { return h.CarryCensus(t.Context(), m, bought(23)) },
	} {
		if err := do(); !errors.Is(err, host.ErrAdopted) || fleet.Hint(err) == "" {
			t.Errorf("%s of an adopted machine = %v, want ErrAdopted with a hint", name, err)
		}
	}
	trust := func(context.Context, string) error { return errors.New("asked to trust a key") }
	if err := h.Rekey(t.Context(), m, trust); err != nil {
		t.Errorf("Rekey of an adopted machine = %v, want it left alone", err)
	}
	if _, err := h.Exec(t.Context(), m, host.Proof{}, []string{"uname", "-s", "-m"}); err != nil {
		t.Errorf("Exec: %v", err)
	}
	if !slices.Equal(before, box.Files()) || len(box.Effects()) != 0 {
		t.Errorf("the box holds %q and did %q, want nothing changed", box.Files(), box.Effects())
	}
}

func TestLogs_OfAnAdoptedBoxAreThoseOfTheServiceThatAnswers(t *testing.T) {
	_, box, m, h := old(t)
	box.Reply("journalctl -u bitterbot-relay.service -n 5 ", "old words\n", 0)
	var out bytes.Buffer
	if err := h.Logs(t.Context(), m, 5, false, &out); err != nil || out.String() != "old words\n" {
		t.Errorf("Logs = %q, %v; want those of bitterbot-relay.service", out.String(), err)
	}
}

// A take-over that is cut off after any write is finished by the next run: the old relay
// never comes back beside ours, and its key stays.
func TestTakeOver_TheOldRelayEndsBeforeOursStartsAndItsKeyStays(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := int64(0); ; n++ {
		fake, box, m, h := old(t)
		for _, path := range []string{"/api/stats", "/api/version", "/api/reservations", "/readyz"} {
			box.Route(path, nil)
		}
		m.Adopted = false
		m.HostKey = box.ShownHostKey()
		killed := systemHosts(fake, func(at int64) error {
			if at > n {
				return errKilled
			}
			return nil
		})
		done := killed.Configure(t.Context(), m, config(64), rel) == nil
		if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatalf("after %d writes the next run: %v", n, err)
		}
		effects := box.Effects()
		for _, want := range []string{
			"systemctl disable bitterbot-relay.service", "systemctl stop bitterbot-relay.service",
			"chown -R -h relay:relay /var/lib/bitterbot", "chmod 0700 /var/lib/bitterbot", "/usr/sbin/runuser -u relay -- chmod 0600 /var/lib/bitterbot/node.key",
		} {
			if !slices.Contains(effects, want) {
				t.Errorf("after %d writes and the next run %q was not run; what was: %q", n, want, effects)
			}
		}
		if key, _ := box.File("/var/lib/bitterbot/node.key"); key != strings.Repeat("\x07", 32) {
			t.Errorf("node.key = %q, want its bytes kept", key)
		}
		if box.Started() != 1 || !strings.Contains(box.RunsUnit(), "ReadWritePaths=/var/lib/bitterbot") {
			t.Errorf("started %d times under %q, want once, with the old state directory", box.Started(), box.RunsUnit())
		}
		if done {
			return
		}
	}
}

func TestTakeOver_WhatIsNotARelaysIsLeft(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for name, c := range map[string]struct {
		prepare func(*hosttest.FakeBox)
		want    string
	}{
		"a process without a service": {func(b *hosttest.FakeBox) {
			b.PutFile("/proc/77/cgroup", []byte("0::/user.slice/user-0.slice/session-3.scope\n"))
		}, "process 77 answers"},
		"a process of a service that runs others, too": {func(b *hosttest.FakeBox) {
			b.Others("docker.service")
			b.Reply("systemctl show -p MainPID --value docker.service", "12\n", 0)
		}, "not the main process of docker.service"},
		"a directory without a key": {func(b *hosttest.FakeBox) {
			b.PutFile("/var/lib/bitterbot/node.key", nil)
			b.PutFile("/var/lib/bitterbot/photos", []byte("x"))
		}, "no relay's state directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, box, m, h := old(t)
			m.Adopted = false
			c.prepare(box)
			err := h.Configure(t.Context(), m, config(64), rel)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Configure = %v, want an error that says %q", err, c.want)
			}
			if slices.ContainsFunc(box.Effects(), func(e string) bool {
				return strings.HasPrefix(e, "chown -R") || strings.HasPrefix(e, "systemctl stop") || strings.HasSuffix(e, m.State)
			}) || box.Started() != 0 {
				t.Errorf("did %q, started %d times; want neither", box.Effects(), box.Started())
			}
		})
	}
}

// A host whose entry names a state directory is marked in it before anything is installed.
func TestConfigure_AFreshHostKeepsItsStateWhereItsEntrySays(t *testing.T) {
	_, box, m, h := debian(t)
	m.Given, m.State = true, "/srv/relay"
	box.PutFile("/srv/relay/machine.json", []byte("{}"))
	if err := h.Configure(t.Context(), m, config(64), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
		t.Fatal(err)
	}
	if want := "chown -R -h relay:relay /srv/relay"; !slices.Contains(box.Effects(), want) || box.Started() != 1 {
		t.Errorf("did %q, started %d times; want %q, and one start", box.Effects(), box.Started(), want)
	}
}

// said notes the commands in their order.
type said struct {
	sshx.Runner
	mu    sync.Mutex
	lines []string
}

func (s *said) Run(ctx context.Context, at sshx.Target, c sshx.Command) (sshx.Result, error) {
	s.mu.Lock()
	if !c.ReadOnly {
		s.lines = append(s.lines, strings.Join(c.Argv, " "))
	}
	s.mu.Unlock()
	return s.Runner.Run(ctx, at, c)
}

// The old relay writes its register when it ends, as the user that it has, and what is
// in its directory may be a link to anything.
func TestTakeOver_TheStateDirectoryIsTheOldRelaysUntilItHasEnded(t *testing.T) {
	fake, box, m, _ := old(t)
	for _, path := range []string{"/api/stats", "/api/version", "/api/reservations", "/readyz"} {
		box.Route(path, nil)
	}
	m.Adopted, m.HostKey = false, box.ShownHostKey()
	run := &said{Runner: fake}
	h := host.New(host.Config{Runner: run, Tunnel: fake, Keys: fake, System: host.SystemOf(oceanSpec(), []string{operatorKey})})
	if err := h.Configure(t.Context(), m, config(64), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
		t.Fatal(err)
	}
	ended := slices.Index(run.lines, "systemctl stop bitterbot-relay.service")
	if ended < 0 {
		t.Errorf("the old relay was not stopped; what was run: %q", run.lines)
	}
	for i, line := range run.lines {
		if i < ended && strings.Contains(line, m.State) {
			t.Errorf("%q was run while the old relay still ran", line)
		}
		if strings.Contains(line, m.State+"/") && !strings.HasPrefix(line, "/usr/sbin/runuser -u relay -- ") {
			t.Errorf("root ran %q, which follows a link that was put there", line)
		}
	}
}
