package host_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// booting is a box whose first boot goes through these failures, each for so long.
type booting struct {
	*hosttest.Fake
	began time.Time
	steps []bootStep
}

type bootStep struct {
	until time.Duration
	err   error
}

func (b *booting) Run(ctx context.Context, at sshx.Target, c sshx.Command) (sshx.Result, error) {
	for _, s := range b.steps {
		if time.Since(b.began) < s.until {
			return sshx.Result{}, s.err
		}
	}
	return b.Fake.Run(ctx, at, c)
}

func awaited(t *testing.T, script func(*hosttest.FakeBox), steps ...bootStep) (said []string, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		fake, m := hosttest.NewFake(), bought(22)
		box := fake.Box(addr(m)).Debian()
		if script != nil {
			script(box)
		}
		b := &booting{Fake: fake, began: time.Now(), steps: steps}
		h := host.New(host.Config{Runner: b, Tunnel: fake, Keys: fake, System: host.SystemOf(oceanSpec(), nil)})
		err = h.Await(t.Context(), m, func(what string) { said = append(said, what) })
		took = time.Since(b.began)
	})
	return said, took, err
}

var (
	refusedDial = &sshx.TransportError{Op: "dial", Err: errors.New("connection refused")}
	halfOpen    = &sshx.TransportError{Op: "handshake", Err: errors.New("EOF")}
	noLogin     = &sshx.AuthError{Addr: "x", Err: errors.New("the box accepts none of our keys")}
)

func TestAwait_NamesWhatItWaitsForInTheOrderOfAFirstBoot(t *testing.T) {
	said, _, err := awaited(t, nil, bootStep{40 * time.Second, refusedDial}, bootStep{50 * time.Second, halfOpen}, bootStep{60 * time.Second, noLogin})
	if want := []string{"tcp22", "host key match", "login", "cloud-init"}; err != nil || !slices.Equal(said, want) {
		t.Errorf("Await waited for %q, %v; want %q", said, err, want)
	}
}

func TestAwait_GivesUpAtADeadlineWithTheLastError(t *testing.T) {
	for _, c := range []struct {
		err      error
		deadline time.Duration
		want     string
	}{
		{refusedDial, 5 * time.Minute, "wait for tcp22: gave up after 5m"},
		{halfOpen, 5 * time.Minute, "wait for host key match: gave up after 5m"},
		{noLogin, 2 * time.Minute, "wait for login: gave up after 2m"},
	} {
		_, took, err := awaited(t, nil, bootStep{time.Hour, c.err})
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.err) || took > c.deadline+3*time.Second {
			t.Errorf("Await = %v after %s, want %q with the last error", err, took, c.want)
		}
	}
}

// Of two operators who run up at once, one finds machines that the other ordered.
func TestAwait_ALoginThatIsRefusedSaysWhoseKeysAMachineBootsWith(t *testing.T) {
	_, _, err := awaited(t, nil, bootStep{time.Hour, noLogin})
	if hint := fleet.Hint(err); !strings.Contains(hint, "keys add") || !strings.Contains(hint, "digitalocean.ssh_keys") {
		t.Errorf("got hint %q of %v, want how the other operator lets this one in", hint, err)
	}
}

func TestAwait_AnotherHostKeyIsFinalAtOnce(t *testing.T) {
	wrong := &sshx.HostKeyMismatchError{Addr: "x", Want: []string{"SHA256:a"}, Got: "SHA256:b"}
	_, took, err := awaited(t, nil, bootStep{time.Hour, wrong})
	if !errors.Is(err, sshx.ErrHostKeyMismatch) || took > time.Second {
		t.Errorf("Await = %v after %s, want the mismatch at once", err, took)
	}
}

func TestAwait_AFirstBootThatFailedIsToldWithTheEndOfItsLog(t *testing.T) {
	_, _, err := awaited(t, func(b *hosttest.FakeBox) {
		b.Reply("cloud-init status", `{"status":"error","errors":["users-groups"]}`, 0)
		b.Reply("tail -n 20 /var/log/cloud-init-output.log", "fine\n\x1b[31mTraceback\x1b[0m\n", 0)
	})
	var failed *host.FirstBootError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "users-groups") || failed.Tail[1] != "[31mTraceback[0m" || fleet.Hint(err) == "" {
		t.Errorf("Await = %v, want what failed and the end of the log, cleaned", err)
	}
}

func TestAwait_ABoxWithoutCloudInitHadNoFirstBoot(t *testing.T) {
	if _, _, err := awaited(t, func(b *hosttest.FakeBox) { b.Reply("cloud-init status", "sudo: cloud-init: command not found\n", 1) }); err != nil {
		t.Errorf("Await = %v, want no error", err)
	}
}

func TestKeys_AreAddedAndRemovedAndNobodyIsLockedOut(t *testing.T) {
	_, box, m, h := debian(t)
	const file = "/home/fleetctl/.ssh/authorized_keys"
	const mine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxTBRkT7osJYiZ55j1tP6yEwhlrOKlWfuDMG4QG0d+b"
	before := "# by cloud-init\nno-pty " + mine + " fleet\n"
	box.PutFile(file, []byte(before))
	for range 2 {
		if err := h.AddKey(t.Context(), m, operatorKey); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := box.File(file); got != before+operatorKey+"\n" {
		t.Errorf("authorized_keys = %q, want the key added once", got)
	}
	if keys, err := h.Keys(t.Context(), m); err != nil || len(keys) != 2 || keys[1] != operatorKey {
		t.Errorf("Keys = %q, %v; want both", keys, err)
	}
	if err := h.RemoveKey(t.Context(), m, mine, mine+" me"); !errors.Is(err, host.ErrOwnKey) {
		t.Errorf("RemoveKey of the own key = %v, want ErrOwnKey", err)
	}
	for range 2 {
		if err := h.RemoveKey(t.Context(), m, operatorKey, mine); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := box.File(file); got != before {
		t.Errorf("authorized_keys = %q, want %q", got, before)
	}
	if err := h.RemoveKey(t.Context(), m, mine, operatorKey); !errors.Is(err, host.ErrLastKey) {
		t.Errorf("RemoveKey of the last key = %v, want ErrLastKey", err)
	}
	box.PutFile(file, bytes.Repeat([]byte("x"), 1<<20))
	if err := h.AddKey(t.Context(), m, operatorKey); err == nil {
		t.Error("AddKey to a file that could not be read as a whole succeeded")
	}
}

// meddler is somebody else who writes a file of the box each time that we have written ours
// beside it, as long as there is something to write.
type meddler struct {
	*hosttest.Fake
	box   *hosttest.FakeBox
	file  string
	write []string
}

func (w *meddler) WriteFile(ctx context.Context, at sshx.Target, name string, data []byte, mode fs.FileMode) error {
	if err := w.Fake.WriteFile(ctx, at, name, data, mode); err != nil || len(w.write) == 0 || name == w.file {
		return err
	}
	w.box.PutFile(w.file, []byte(w.write[0]))
	w.write = w.write[1:]
	return nil
}

func TestKeys_WhatSomebodyElseWritesMeanwhileStays(t *testing.T) {
	const (
		file = "/home/fleetctl/.ssh/authorized_keys"
		mine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxTBRkT7osJYiZ55j1tP6yEwhlrOKlWfuDMG4QG0d+b"
		hers = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK"
	)
	for _, c := range []struct {
		what         string
		before       string
		theirs       []string
		do           func(*host.Hosts, fleet.Machine) error
		want, refuse string
	}{
		{"add", mine + "\n", []string{mine + "\n" + hers + "\n"}, func(h *host.Hosts, m fleet.Machine) error {
			return h.AddKey(t.Context(), m, operatorKey)
		}, mine + "\n" + hers + "\n" + operatorKey + "\n", ""},
		{"remove", mine + "\n" + operatorKey + "\n", []string{operatorKey + "\n" + mine + "\n" + hers + "\n"}, func(h *host.Hosts, m fleet.Machine) error {
			return h.RemoveKey(t.Context(), m, operatorKey, mine)
		}, mine + "\n" + hers + "\n", ""},
		{"remove what became the last", mine + "\n" + hers + "\n", []string{hers + "\n"}, func(h *host.Hosts, m fleet.Machine) error {
			return h.RemoveKey(t.Context(), m, hers, mine)
		}, hers + "\n", "last key"},
		{"add for ever", "", []string{"a", "b", "c", "d", "e", "f", "g"}, func(h *host.Hosts, m fleet.Machine) error {
			return h.AddKey(t.Context(), m, operatorKey)
		}, "e", "somebody else changed it 5 times"},
	} {
		fake, box, m, _ := debian(t)
		box.PutFile(file, []byte(c.before))
		h := host.New(host.Config{Runner: &meddler{fake, box, file, c.theirs}, Tunnel: fake, Keys: fake})
		err := c.do(h, m)
		if (err == nil) != (c.refuse == "") || err != nil && !strings.Contains(err.Error(), c.refuse) {
			t.Errorf("%s: got error %v, want %q", c.what, err, c.refuse)
		}
		if got, _ := box.File(file); got != c.want {
			t.Errorf("%s: got authorized_keys %q, want %q", c.what, got, c.want)
		}
		if _, left := box.File(file + ".fleetctl-next"); left {
			t.Errorf("%s: got a temporary file left, want none", c.what)
		}
	}
}

func TestCopy_BothWays(t *testing.T) {
	_, box, m, h := debian(t)
	local := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(local, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Put(t.Context(), m, local, "/tmp/note"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := h.Get(t.Context(), m, "/tmp/note", &out, 5); err != nil || out.String() != "hello" {
		t.Errorf("Get = %q, %v; want hello", out.String(), err)
	}
	if err := h.Get(t.Context(), m, "/tmp/note", &out, 4); !errors.Is(err, sshx.ErrTooLarge) || out.Len() != 5 {
		t.Errorf("Get of more than allowed = %v with %d bytes written, want ErrTooLarge and none", err, out.Len()-5)
	}
	if err := h.Get(t.Context(), m, "/tmp/none", &out, 4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Get of nothing = %v, want that it does not exist", err)
	}
	for _, bad := range []string{"", "note", "/tmp/../etc/shadow", "/tmp/", "/", "/a\x00b"} {
		if err := h.Put(t.Context(), m, local, bad); err == nil || fleet.Hint(err) == "" {
			t.Errorf("Put to %q = %v, want it refused with a hint", bad, err)
		}
	}
	if log, _ := box.File(host.SystemAudit); !strings.Contains(log, "copy to /tmp/note") {
		t.Errorf("audit log = %q, want the copy", log)
	}
}

// Boxes that lie: what they say is bounded, refused, or a drift, and drives no terminal.
func TestInspect_ADebianBoxThatTalksNonsense(t *testing.T) {
	long := strings.Repeat("y", 100_000) + "\x1b[2J"
	for name, script := range map[string]func(*hosttest.FakeBox){
		"a huge unit":            func(b *hosttest.FakeBox) { b.PutFile(host.UnitFile, []byte(long)) },
		"a damaged settled.json": func(b *hosttest.FakeBox) { b.PutFile(host.Settled, []byte("[1,\x00")) },
		"swap with escapes":      func(b *hosttest.FakeBox) { b.PutFile("/proc/swaps", []byte("F\n/"+long[99_000:]+" f 1 0 -2\n")) },
		"a clock of its own":     func(b *hosttest.FakeBox) { b.Reply("timedatectl", long, 0) },
		"no dpkg":                func(b *hosttest.FakeBox) { b.Reply("dpkg-query", "not found", 127) },
		"huge authorized_keys": func(b *hosttest.FakeBox) {
			b.PutFile("/home/fleetctl/.ssh/authorized_keys", []byte(strings.Repeat(long, 5)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, box, m, h := debian(t)
			if err := setUp(t.Context(), h, &m, &trusting{m: &m}, hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
				t.Fatal(err)
			}
			script(box)
			got, err := h.Inspect(t.Context(), m)
			if err != nil {
				t.Fatalf("Inspect: %v", err)
			}
			said := fmt.Sprint(got.Drift, got.Warnings, got.Reason)
			if len(said) > 5000 || strings.ContainsAny(said, "\x1b\x00") || !got.Ready {
				t.Errorf("Inspect passes on %d bytes: %.300q, ready %t", len(said), said, got.Ready)
			}
			if name == "huge authorized_keys" && (driftNames(got.Drift) != "" || !strings.Contains(said, "larger than")) {
				t.Errorf("drift %+v, warnings %q; want no drift where the keys are unknown", got.Drift, got.Warnings)
			}
		})
	}
}
