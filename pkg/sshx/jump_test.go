package sshx_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// behind is a box that a test reaches through jump hosts, the nearest to the box first.
func behind(box *sshtest.Box, name string, jumps ...sshx.Target) sshx.Target {
	at := box.Target(name)
	for i := len(jumps) - 1; i >= 0; i-- {
		if i+1 < len(jumps) {
			jumps[i].Jump = &jumps[i+1]
		}
	}
	if len(jumps) > 0 {
		at.Jump = &jumps[0]
	}
	return at
}

func TestJump_ChainCarriesCommandsAndFilesOverSharedConnections(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	inner := sshtest.Start(t, sshtest.WithTunnel("10.0.0.7:22", box.Addr))
	outer := sshtest.Start(t, sshtest.WithTunnel(inner.Addr, inner.Addr))
	pins := sshtest.Pins(t, inner, outer)
	if err := pins.Set("10.0.0.7:22", box.HostKey); err != nil {
		t.Fatal(err)
	}
	c := sshtest.Client(t, sshx.Config{Pins: pins})
	at := behind(box, "nyc1-1", inner.Target("inner"), outer.Target("outer"))
	at.Addr = "10.0.0.7:22" // only the inner host knows it
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	for range 3 {
		if _, err := c.Run(within(t), at, echo); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteFile(within(t), at, "/big", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := c.ReadFile(within(t), at, "/big", 2_000_000); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d bytes, %v; want the %d written", len(got), err, len(data))
		}
	}
	if b, i, o := box.Dials(), inner.Dials(), outer.Dials(); b != 1 || i != 1 || o != 1 {
		t.Errorf("%d, %d, %d connections, want one to each", b, i, o)
	}
	outer.Disconnect()
	if _, err := c.Run(within(t), at, echo); err != nil {
		t.Errorf("after the jump host went away: %v", err)
	}
}

func TestJump_RoutesAreKeptApart(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	jump := sshtest.Start(t, sshtest.WithTunnel(box.Addr, box.Addr))
	c := sshtest.Client(t, sshx.Config{}, box, jump)
	direct, via := box.Target("nyc1-1"), behind(box, "nyc1-1", jump.Target("jump"))
	keyed := direct
	keyed.KeyFile = keyFile(t)
	for _, at := range []sshx.Target{direct, via, keyed, direct, via, keyed} {
		if _, err := c.Run(within(t), at, echo); err != nil {
			t.Fatal(err)
		}
	}
	if got := box.Dials(); got != 3 {
		t.Errorf("%d connections to the box, want 3: direct, through the jump host, with another key", got)
	}
	c.Drop(via)
	if _, err := c.Run(within(t), direct, echo); err != nil || box.Dials() != 3 {
		t.Errorf("after the other route was dropped: %v, %d connections; want 3", err, box.Dials())
	}
}

func TestJump_LoopsAndLongWaysAreRefusedBeforeADial(t *testing.T) {
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{}, box)
	self := box.Target("nyc1-1")
	self.Jump = &self
	long := box.Target("nyc1-1")
	for range 5 {
		next := long
		long = sshx.Target{Name: "hop", User: "root", Addr: net.JoinHostPort("192.0.2.1", string(rune('1'+len(depth(next))))), Jump: &next}
	}
	for name, at := range map[string]sshx.Target{"loop": self, "too long": long} {
		_, err := c.Run(within(t), at, echo)
		var jump *sshx.JumpError
		if !errors.As(err, &jump) || errors.Is(err, sshx.ErrTransport) || jump.Hint() == "" {
			t.Errorf("%s: %v, want JumpError with a hint", name, err)
		}
		c.Drop(at)
	}
	if got := box.Dials(); got != 0 {
		t.Errorf("%d dials, want 0", got)
	}
}

func depth(at sshx.Target) (hops []string) {
	for hop := &at; hop != nil; hop = hop.Jump {
		hops = append(hops, hop.Addr)
	}
	return hops
}

func TestJump_HostThatRefusesToForwardIsNamed(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	jump := sshtest.Start(t) // forwards nothing
	c := sshtest.Client(t, sshx.Config{}, box, jump)
	start := time.Now()
	_, err := c.Run(within(t), behind(box, "nyc1-1", jump.Target("bastion")), echo)
	var failed *sshx.TransportError
	var refused *sshx.JumpError
	if !errors.As(err, &failed) || failed.Op != "dial" || failed.Node != "nyc1-1" || !errors.As(err, &refused) {
		t.Fatalf("got %v, want a TransportError of the dial with a JumpError", err)
	}
	if !strings.Contains(err.Error(), "bastion") || !strings.Contains(refused.Hint(), "AllowTcpForwarding") {
		t.Errorf("%q with hint %q; want the jump host's name and what to do there", err, refused.Hint())
	}
	if d := time.Since(start); d > soon/2 || box.Dials() != 0 {
		t.Errorf("took %v, %d dials; want it soon and none", d, box.Dials())
	}
}

func TestJump_ItsHostKeyIsPinnedLikeAnyOther(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	tunnel := sshtest.WithTunnel(box.Addr, box.Addr)
	liar := sshtest.Start(t, tunnel, sshtest.LieAboutHostKey(sshtest.NewSigner()))
	unknown := sshtest.Start(t, tunnel)
	stranger := sshtest.Start(t, tunnel, sshtest.WithAuthorizedKeys(sshtest.NewSigner().PublicKey()))
	c := sshtest.Client(t, sshx.Config{}, box, liar, stranger)
	for name, tc := range map[string]struct {
		jump *sshtest.Box
		want error
	}{"another key": {liar, sshx.ErrHostKeyMismatch}, "no pin": {unknown, sshx.ErrNoPin}, "login refused": {stranger, sshx.ErrAuth}} {
		_, err := c.Run(within(t), behind(box, "nyc1-1", tc.jump.Target("bastion")), echo)
		var jump *sshx.JumpError
		if !errors.Is(err, tc.want) || !errors.As(err, &jump) || errors.Is(err, sshx.ErrTransport) || jump.Hint() == "" {
			t.Errorf("%s: %v, want JumpError because of %v, with its hint", name, err, tc.want)
		}
	}
	if got := box.Dials(); got != 0 {
		t.Errorf("%d dials of the box, want 0", got)
	}
}

func TestJump_HungHostEndsAtTheDeadline(t *testing.T) {
	box := sshtest.Start(t)
	hung := sshtest.Start(t, sshtest.HangAtAccept())
	c := sshtest.Client(t, sshx.Config{HandshakeTimeout: 100 * time.Millisecond}, box, hung)
	_, err := c.Run(within(t), behind(box, "nyc1-1", hung.Target("bastion")), echo)
	var failed *sshx.TransportError
	if !errors.As(err, &failed) || failed.Op != "dial" || !strings.Contains(err.Error(), "bastion") {
		t.Errorf("got %v, want a TransportError of the dial that names the jump host", err)
	}
}

func TestClient_HostsOwnKeyFileLogsIn(t *testing.T) {
	file := keyFile(t)
	key, err := sshx.LoadKey(file)
	if err != nil {
		t.Fatal(err)
	}
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithAuthorizedKeys(key.Signer.PublicKey()))
	c := sshtest.Client(t, sshx.Config{}, box)
	at := box.Target("nyc1-1")
	if _, err := c.Run(within(t), at, echo); !errors.Is(err, sshx.ErrAuth) {
		t.Errorf("without the box's key: %v, want ErrAuth", err)
	}
	at.KeyFile = file
	if _, err := c.Run(within(t), at, echo); err != nil {
		t.Errorf("with the box's key: %v", err)
	}
	at.KeyFile += ".none"
	if _, err := c.Run(within(t), at, echo); !errors.Is(err, sshx.ErrAuth) || !strings.Contains(err.Error(), at.KeyFile) {
		t.Errorf("with a key file that is not there: %v, want ErrAuth that names it", err)
	}
}

func keyFile(t *testing.T) string {
	t.Helper()
	file := t.TempDir() + "/id_ed25519"
	if _, err := sshx.GenerateKey(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestJump_DropsAmongDialsNeverLock(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	jump := sshtest.Start(t, sshtest.WithTunnel(box.Addr, box.Addr))
	c := sshtest.Client(t, sshx.Config{}, box, jump)
	at, ctx := behind(box, "nyc1-1", jump.Target("jump")), within(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for round := range 25 {
				if i == 0 {
					c.Drop(*at.Jump)
				}
				// What is dropped or given up fails; a dial of about 3 ms is given up at any of its steps.
				short, cancel := context.WithTimeout(ctx, time.Duration(i*25+round)*50*time.Microsecond)
				_, _ = c.Run(short, at, echo)
				cancel()
				if round%3 == 0 {
					c.Drop(at)
				}
			}
		})
	}
	wg.Wait()
	if _, err := c.Run(ctx, at, echo); err != nil {
		t.Errorf("after all drops: %v", err)
	}
}
