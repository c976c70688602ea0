package sshx_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func newKey() string { return sshx.AuthorizedKey(sshtest.NewSigner().PublicKey()) }

func openPins(t *testing.T, text string) *sshx.Pins {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if text != "" {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := sshx.OpenPins(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPins_SetLookupRemove(t *testing.T) {
	p := openPins(t, "")
	for _, addr := range []string{"192.0.2.7:22", "127.0.0.1:2222", "[2001:db8::1]:22", "[2001:db8::1]:2222", "relay.example.net:22"} {
		if _, err := p.Lookup(addr); !errors.Is(err, sshx.ErrNoPin) {
			t.Errorf("lookup %s: %v, want ErrNoPin", addr, err)
		}
		first, second := newKey(), newKey()
		for _, key := range []string{first, second, second + " a comment"} {
			if err := p.Set(addr, key); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := p.Lookup(addr); err != nil || got != second {
			t.Errorf("lookup %s = %q, %v; want the last key set", addr, got, err)
		}
		for range 2 {
			if err := p.Remove(addr); err != nil {
				t.Errorf("remove %s: %v", addr, err)
			}
		}
		if _, err := p.Lookup(addr); !errors.Is(err, sshx.ErrNoPin) {
			t.Errorf("lookup of the removed %s: %v, want ErrNoPin", addr, err)
		}
	}
	if info, err := os.Stat(p.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("pin file: %v, %v; want mode 0600", info, err)
	}
}

func TestPins_SetOfSeveralIsWholeAndWrittenOnce(t *testing.T) {
	const addr = "box.example.net:2222"
	p := openPins(t, "")
	first, second := newKey(), newKey()
	if err := p.Set(addr, first, second, first+" again"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.LookupAll(addr); err != nil || !slices.Equal(got, []string{first, second}) {
		t.Errorf("lookup all = %q, %v; want both in their order", got, err)
	}
	if got, err := p.Lookup(addr); err != nil || got != first {
		t.Errorf("lookup = %q, %v; want the first", got, err)
	}
	before, err := os.Stat(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Set(addr, second, first); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(p.Path()); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same set was written again (%v)", err)
	}
	if err := p.Set(addr); err == nil {
		t.Error("set of no key: no error")
	}
	if err := p.Set(addr, first, "nonsense"); err == nil {
		t.Error("set with a bad key: no error")
	}
	if err := p.Set(addr, second); err != nil {
		t.Fatal(err)
	}
	if got, err := p.LookupAll(addr); err != nil || !slices.Equal(got, []string{second}) {
		t.Errorf("lookup all = %q, %v; want the one that is left", got, err)
	}
	if _, err := p.LookupAll("other.example.net:22"); !errors.Is(err, sshx.ErrNoPin) {
		t.Errorf("lookup all of another: %v, want ErrNoPin", err)
	}
}

func TestPins_KeepWhatOthersWrote(t *testing.T) {
	mine, other, hashed, revoked := newKey(), newKey(), newKey(), newKey()
	p := openPins(t, strings.Join([]string{
		"# a comment",
		"192.0.2.7,192.0.2.8 " + mine + " of two",
		knownhosts.HashHostname("192.0.2.7") + " " + hashed,
		"@revoked * " + revoked,
		"192.0.2.9 " + other, // and no newline at the end
	}, "\n"))
	next := newKey()
	if err := p.Set("192.0.2.7:22", next); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := "# a comment\n192.0.2.8 " + mine + " of two\n@revoked * " + revoked + "\n192.0.2.9 " + other + "\n192.0.2.7 " + next + "\n"
	if string(got) != want {
		t.Errorf("file is\n%s\nwant\n%s", got, want)
	}
}

func TestPins_ChangesOfAnotherProcessAreSeen(t *testing.T) {
	p := openPins(t, "")
	q, err := sshx.OpenPins(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		key := newKey()
		if err := p.Set("192.0.2.7:22", key); err != nil {
			t.Fatal(err)
		}
		if got, err := q.Lookup("192.0.2.7:22"); err != nil || got != key {
			t.Errorf("the other sees %q, %v; want %q", got, err, key)
		}
	}
}

func TestPins_ConcurrentWritersLoseNothing(t *testing.T) {
	p := openPins(t, "")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			own, err := sshx.OpenPins(p.Path()) // as another process would
			if err == nil {
				err = own.Set(fmt.Sprintf("192.0.2.%d:22", i), newKey())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 16 {
		if _, err := p.Lookup(fmt.Sprintf("192.0.2.%d:22", i)); err != nil {
			t.Errorf("lost: %v", err)
		}
	}
}

func TestPins_RefuseWhatWouldTrustTooMuch(t *testing.T) {
	p := openPins(t, "")
	for _, addr := range []string{"", "*:22", "192.0.2.7", "a,b:22", "a b:22", "a\nb:22", "!a:22", "#a:22", "@cert-authority:22", ":22", "|1|a|b:22"} {
		if err := p.Set(addr, newKey()); err == nil {
			t.Errorf("set %q: no error", addr)
		}
		if err := p.Remove(addr); err == nil {
			t.Errorf("remove %q: no error", addr)
		}
	}
	for _, key := range []string{"", "ssh-ed25519", "ssh-ed25519 !!!!", "not a key"} {
		if err := p.Set("192.0.2.7:22", key); err == nil {
			t.Errorf("set key %q: no error", key)
		}
	}
	if _, err := os.Stat(p.Path()); err == nil {
		t.Error("a file was written")
	}
}

func TestPins_DamagedFileIsNamedAndKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	const text = "192.0.2.7 ssh-ed25519 half-wri"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sshx.OpenPins(file); err == nil || !strings.Contains(err.Error(), file+":1") {
		t.Errorf("open: %v, want an error that names file and line", err)
	}
	if got, _ := os.ReadFile(file); string(got) != text {
		t.Errorf("file is now %q", got)
	}
}

func TestPins_RevokedKeyIsNotTrusted(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell))
	p := sshtest.Pins(t, box)
	f, err := os.OpenFile(p.Path(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "@revoked * %s\n", box.HostKey)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	c := sshtest.Client(t, sshx.Config{Pins: p})
	if _, err := c.Run(within(t), box.Target("nyc1-1"), sshx.Command{Argv: []string{"echo"}}); !errors.Is(err, sshx.ErrHostKeyMismatch) {
		t.Errorf("revoked: %v, want ErrHostKeyMismatch", err)
	}
}
