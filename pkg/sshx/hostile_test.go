package sshx_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestDial_HungBoxesEndAtTheDeadline(t *testing.T) {
	for name, fault := range map[string]sshtest.Option{
		"hang at accept": sshtest.HangAtAccept(),
		"endless banner": sshtest.EndlessBanner(),
		"hang in auth":   sshtest.HangInAuth(),
		"endless login":  sshtest.EndlessLoginBanner(),
	} {
		t.Run(name, func(t *testing.T) {
			box := sshtest.Start(t, fault)
			c := sshtest.Client(t, sshx.Config{HandshakeTimeout: 100 * time.Millisecond}, box)
			_, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
			if !errors.Is(err, sshx.ErrTransport) || !strings.Contains(err.Error(), "nyc1-1") {
				t.Errorf("got %v, want ErrTransport naming the node", err)
			}
			// Of endless text, the library may have had enough before the deadline.
			if !errors.Is(err, context.DeadlineExceeded) && name != "endless banner" {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
		})
	}
}

func TestDial_CancelEndsAHandshakeAtOnce(t *testing.T) {
	box := sshtest.Start(t, sshtest.HangAtAccept())
	c := sshtest.Client(t, sshx.Config{}, box)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.Run(ctx, box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
	if !errors.Is(err, sshx.ErrTransport) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrTransport and DeadlineExceeded", err)
	}
	if d := time.Since(start); d > sshx.DefaultHandshakeTimeout/2 {
		t.Errorf("took %v", d)
	}
}

func TestDial_CallerThatGivesUpDoesNotEndTheDialOfAnother(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithDelay(20*time.Millisecond))
	c := sshtest.Client(t, sshx.Config{}, box)
	impatient, cancel := context.WithCancel(within(t))
	first := make(chan error, 1)
	go func() {
		_, err := c.Run(impatient, box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
		first <- err
	}()
	for box.Dials() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("never dialed")
		}
	}
	second := make(chan error, 1)
	patient := within(t)
	go func() {
		_, err := c.Run(patient, box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("impatient caller: %v, want Canceled", err)
	}
	if err := <-second; err != nil {
		t.Errorf("patient caller: %v", err)
	}
}

func TestDial_NobodyThereIsATransportError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	pins := sshtest.Pins(t)
	if err := pins.Set(addr, sshx.AuthorizedKey(sshtest.NewSigner().PublicKey())); err != nil {
		t.Fatal(err)
	}
	c := sshtest.Client(t, sshx.Config{Pins: pins})
	if _, err := c.ReadFile(within(t), sshx.Target{Addr: addr, User: "root"}, "/x", 1); !errors.Is(err, sshx.ErrTransport) {
		t.Errorf("got %v, want ErrTransport", err)
	}
}

func TestDial_DroppedAtAnyByteIsATransportError(t *testing.T) {
	for _, n := range []int64{1, 20, 200, 1000, 1500, 2000, 2500} {
		box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.DropAfter(n))
		c := sshtest.Client(t, sshx.Config{}, box)
		_, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"yes"}})
		if !errors.Is(err, sshx.ErrTransport) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dropped after %d bytes: %v, want ErrTransport at once", n, err)
		}
	}
}

func TestHostKey_WithoutAPinNothingIsDialed(t *testing.T) {
	box := sshtest.Start(t)
	pins := sshtest.Pins(t)
	c := sshtest.Client(t, sshx.Config{Pins: pins})
	_, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
	var noPin *sshx.NoPinError
	if !errors.Is(err, sshx.ErrNoPin) || !errors.As(err, &noPin) {
		t.Fatalf("got %v, want NoPinError", err)
	}
	for _, want := range []string{box.Addr, pins.Path(), "nyc1-1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if noPin.Hint() == "" || box.Dials() != 0 {
		t.Errorf("hint %q, %d dials; want a hint and no dial", noPin.Hint(), box.Dials())
	}
}

func TestHostKey_AnotherKeyIsRefusedNamingBoth(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherType, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]ssh.Signer{"same type": sshtest.NewSigner(), "another type": otherType} {
		t.Run(name, func(t *testing.T) {
			pinned := sshtest.NewSigner()
			box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithHostKey(pinned), sshtest.LieAboutHostKey(shown))
			c := sshtest.Client(t, sshx.Config{}, box)
			_, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}})
			var mismatch *sshx.HostKeyMismatchError
			if !errors.Is(err, sshx.ErrHostKeyMismatch) || !errors.As(err, &mismatch) || mismatch.Hint() == "" {
				t.Fatalf("got %v, want HostKeyMismatchError with a hint", err)
			}
			for _, want := range []string{ssh.FingerprintSHA256(pinned.PublicKey()), ssh.FingerprintSHA256(shown.PublicKey())} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
			if len(box.Ran()) != 0 {
				t.Error("a command ran")
			}
		})
	}
}

func TestUpload_WrongDigestLeavesNothing(t *testing.T) {
	box := sshtest.Start(t, sshtest.LieAboutDigests())
	c := sshtest.Client(t, sshx.Config{}, box)
	local, sum := localFile(t, 100_000)
	err := c.Upload(within(t), box.Target("nyc1-1"), local, "/opt/relay/releases/x/relay", sum, 0o755)
	var wrong *sshx.DigestError
	if !errors.As(err, &wrong) || !errors.Is(err, sshx.ErrDigest) || wrong.Want != sum || wrong.Hint() == "" {
		t.Fatalf("got %v, want DigestError that wants %s", err, sum)
	}
	left, err := os.ReadDir(box.Dir + "/opt/relay/releases/x")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFiles_BoxWithoutSFTPIsNamed(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithoutSFTP(), sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	if _, err := c.ReadFile(within(t), box.Target("nyc1-1"), "/x", 1); err == nil || !strings.Contains(err.Error(), "SFTP") {
		t.Errorf("got %v, want an error that names SFTP", err)
	}
	if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); err != nil {
		t.Errorf("commands still run: %v", err)
	}
}
