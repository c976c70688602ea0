package sshx_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// otherSigners are an ECDSA and an RSA key.
func otherSigners(t *testing.T) (ec, rs ssh.Signer) {
	t.Helper()
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if ec, err = ssh.NewSignerFromKey(e); err != nil {
		t.Fatal(err)
	}
	if rs, err = ssh.NewSignerFromKey(r); err != nil {
		t.Fatal(err)
	}
	return ec, rs
}

func authorized(s ssh.Signer) string { return sshx.AuthorizedKey(s.PublicKey()) }

func TestScan_ShowsEveryKeyWithoutAPinAndWithoutLogin(t *testing.T) {
	ec, rs := otherSigners(t)
	box := sshtest.Start(t, sshtest.WithHostKeys(rs, ec), sshtest.WithAuthorizedKeys())
	one := sshtest.Start(t, sshtest.WithHostKey(ec))
	jump := sshtest.Start(t, sshtest.WithTunnel(box.Addr, box.Addr))
	c := sshtest.Client(t, sshx.Config{}, jump) // pins the jump host alone
	all := []string{box.HostKey, authorized(ec), authorized(rs)}
	for name, tc := range map[string]struct {
		at   sshx.Target
		want []string
	}{
		"three keys":          {box.Target("a"), all},
		"one key":             {one.Target("b"), []string{authorized(ec)}},
		"through a jump host": {behind(box, "a", jump.Target("jump")), all},
	} {
		got, err := c.Scan(within(t), tc.at)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, tc.want)
		}
	}
	if _, err := c.Run(within(t), box.Target("a"), echo); !errors.Is(err, sshx.ErrNoPin) {
		t.Errorf("after a scan: %v, want ErrNoPin: a scan trusts nothing", err)
	}
}

func TestScan_HostileServersEndInTime(t *testing.T) {
	for name, fault := range map[string]sshtest.Option{
		"hang at accept": sshtest.HangAtAccept(),
		"endless banner": sshtest.EndlessBanner(),
		"dropped":        sshtest.DropAfter(100),
	} {
		box := sshtest.Start(t, fault)
		c := sshtest.Client(t, sshx.Config{HandshakeTimeout: 200 * time.Millisecond}, box)
		if got, err := c.Scan(within(t), box.Target("nyc1-1")); !errors.Is(err, sshx.ErrTransport) || got != nil {
			t.Errorf("%s: %q, %v; want ErrTransport and no key", name, got, err)
		}
	}
	// Neither matters: a scan never comes to a login.
	box := sshtest.Start(t, sshtest.HangInAuth())
	c := sshtest.Client(t, sshx.Config{}, box)
	if got, err := c.Scan(within(t), box.Target("nyc1-1")); err != nil || !slices.Equal(got, []string{box.HostKey}) {
		t.Errorf("hang in auth: %q, %v; want the key", got, err)
	}
}

func TestScan_ToldApartFromARefusedConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	c := sshtest.Client(t, sshx.Config{})
	_, err = c.Scan(within(t), sshx.Target{Name: "old-1", Addr: addr, User: "root"})
	var failed *sshx.TransportError
	if !errors.As(err, &failed) || failed.Op != "dial" {
		t.Errorf("got %v, want a TransportError of the dial", err)
	}
}

func TestHostKey_ChangesWithoutALockout(t *testing.T) {
	next := sshtest.NewSigner()
	box := sshtest.Start(t, sshtest.WithExec(shell))
	pins := sshtest.Pins(t, box)
	c := sshtest.Client(t, sshx.Config{Pins: pins})
	at := box.Target("nyc1-1")
	shown := func(want string) {
		t.Helper()
		c.Drop(at)
		if got, err := c.HostKey(within(t), at); err != nil || got != want {
			t.Errorf("host key %q, %v; want %q", got, err, want)
		}
	}
	shown(box.HostKey)
	if err := pins.Set(at.Addr, box.HostKey, authorized(next)); err != nil { // both, before sshd uses the new one
		t.Fatal(err)
	}
	shown(box.HostKey)
	box.SetHostKeys(next)
	shown(authorized(next))
	if err := pins.Set(at.Addr, authorized(next)); err != nil {
		t.Fatal(err)
	}
	shown(authorized(next))
	box.SetHostKeys(sshtest.NewSigner())
	c.Drop(at)
	if _, err := c.HostKey(within(t), at); !errors.Is(err, sshx.ErrHostKeyMismatch) {
		t.Errorf("a third key: %v, want ErrHostKeyMismatch", err)
	}
}

func TestHostKey_NegotiationFollowsThePins(t *testing.T) {
	ec, rs := otherSigners(t)
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithHostKeys(rs, ec, sshtest.NewSigner())) // the first of a type is shown
	for _, pinned := range []string{box.HostKey, authorized(ec), authorized(rs)} {
		pins := sshtest.Pins(t)
		if err := pins.Set(box.Addr, pinned); err != nil {
			t.Fatal(err)
		}
		c := sshtest.Client(t, sshx.Config{Pins: pins})
		if got, err := c.HostKey(within(t), box.Target("nyc1-1")); err != nil || got != pinned {
			t.Errorf("showed %.30q, %v; want the pinned %.30q", got, err, pinned)
		}
	}
}

func TestHostKeyMark_RoundTripsAndRefusesTheRest(t *testing.T) {
	private, public, err := sshx.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil || authorized(signer) != public {
		t.Fatalf("the private half is %v, %v; want that of %s", signer, err, public)
	}
	if !strings.HasPrefix(string(private), "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Error("the private half is not in OpenSSH form")
	}
	mark, err := sshx.EncodeHostKeyMark(public + " a comment")
	if err != nil || len(mark) != 64 || mark != strings.ToLower(mark) {
		t.Fatalf("mark %q, %v; want 64 lower-case hex digits", mark, err)
	}
	if got, err := sshx.DecodeHostKeyMark(mark); err != nil || got != public {
		t.Errorf("decoded %q, %v; want %q", got, err, public)
	}
	if got, err := sshx.Fingerprint(public); err != nil || got != ssh.FingerprintSHA256(signer.PublicKey()) {
		t.Errorf("fingerprint %q, %v", got, err)
	}
	ec, rs := otherSigners(t)
	for _, key := range []string{"", "nonsense", authorized(ec), authorized(rs), public + "\n" + public, `command="x" ` + public} {
		if got, err := sshx.EncodeHostKeyMark(key); err == nil {
			t.Errorf("mark of %.40q is %q, want an error", key, got)
		}
	}
	for _, bad := range []string{"", mark[1:], mark + "0", strings.ToUpper(mark[:63]) + "A", "g" + mark[1:], " " + mark[1:]} {
		if got, err := sshx.DecodeHostKeyMark(bad); err == nil {
			t.Errorf("key of mark %q is %q, want an error", bad, got)
		}
	}
	if _, err := sshx.Fingerprint("nonsense"); err == nil {
		t.Error("fingerprint of nonsense: no error")
	}
}

// TestErrors_TellTheSteps is what a wait for a new box's stages stands on.
func TestIsFingerprint_KnowsAKeyByEitherDigest(t *testing.T) {
	key, other := sshtest.NewSigner().PublicKey(), sshtest.NewSigner().PublicKey()
	line := sshx.AuthorizedKey(key)
	md5 := ssh.FingerprintLegacyMD5(key)
	for word, want := range map[string]bool{
		ssh.FingerprintSHA256(key): true, md5: true, "MD5:" + md5: true,
		ssh.FingerprintSHA256(other): false, ssh.FingerprintLegacyMD5(other): false, "": false, line: false,
	} {
		if got := sshx.IsFingerprint(line, word); got != want {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
}

func TestErrors_TellTheSteps(t *testing.T) {
	op := func(err error) string {
		var failed *sshx.TransportError
		switch {
		case errors.Is(err, sshx.ErrHostKeyMismatch):
			return "host key"
		case errors.Is(err, sshx.ErrAuth):
			return "auth"
		case errors.As(err, &failed):
			return failed.Op
		}
		return "?"
	}
	for want, fault := range map[string]sshtest.Option{
		"handshake": sshtest.HangAtAccept(),
		"host key":  sshtest.LieAboutHostKey(sshtest.NewSigner()),
		"auth":      sshtest.WithAuthorizedKeys(sshtest.NewSigner().PublicKey()),
	} {
		box := sshtest.Start(t, fault)
		c := sshtest.Client(t, sshx.Config{HandshakeTimeout: 300 * time.Millisecond}, box)
		_, err := c.Run(within(t), box.Target("nyc1-1"), echo)
		if got := op(err); got != want {
			t.Errorf("%v: step %q, want %q", err, got, want)
		}
		if want == "handshake" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	}
}

func TestScan_SaysNothingAfterTheHostKey(t *testing.T) {
	asked := make(chan error, 3)
	addr := listen(t, func(nc net.Conn) {
		cfg := &ssh.ServerConfig{NoClientAuth: true} // anybody who asks is let in
		cfg.AddHostKey(sshtest.NewSigner())
		_, _, _, err := ssh.NewServerConn(nc, cfg)
		asked <- err
	})
	c := sshtest.Client(t, sshx.Config{})
	if got, err := c.Scan(within(t), sshx.Target{Addr: addr, User: "root"}); err != nil || len(got) != 1 {
		t.Fatalf("scan: %q, %v; want one key", got, err)
	}
	for range 3 {
		if err := <-asked; err == nil {
			t.Error("the scan logged in")
		}
	}
}
