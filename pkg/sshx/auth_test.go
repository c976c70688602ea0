package sshx_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

var echo = sshx.Command{Argv: []string{"echo"}}

func publicKey(t *testing.T, authorized string) ssh.PublicKey {
	t.Helper()
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorized))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestGenerateKey_LogsInAndIsNeverReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "id_ed25519")
	key, err := sshx.GenerateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want mode 0600", info, err)
	}
	if raw, _ := os.ReadFile(file); !strings.HasPrefix(string(raw), "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		t.Error("the key is not in OpenSSH form")
	}
	if loaded, err := sshx.LoadKey(file); err != nil || loaded.PublicKey != key.PublicKey {
		t.Errorf("loaded %q, %v; want %q", loaded.PublicKey, err, key.PublicKey)
	}
	if _, err := sshx.GenerateKey(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key over the first: %v, want fs.ErrExist", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithAuthorizedKeys(publicKey(t, key.PublicKey)))
	c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{KeyFile: file}}, box)
	if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); err != nil {
		t.Error(err)
	}
}

func TestAuth_KeyFileThatOthersMayReadIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "id_ed25519")
	if _, err := sshx.GenerateKey(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil { // #nosec G302 -- what the test is about
		t.Fatal(err)
	}
	box := sshtest.Start(t)
	c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{KeyFile: file}}, box)
	_, err := c.Run(within(t), box.Target("nyc1-1"), echo)
	var auth *sshx.AuthError
	if !errors.As(err, &auth) || !strings.Contains(auth.Hint(), "chmod 600 "+file) {
		t.Errorf("got %v, want AuthError whose hint is chmod 600", err)
	}
}

func TestAuth_BadKeyFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	junk, empty := filepath.Join(dir, "junk"), filepath.Join(dir, "empty")
	for file, text := range map[string]string{junk: "ssh-ed25519 AAAA", empty: ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	box := sshtest.Start(t)
	for _, file := range []string{junk, empty, dir, filepath.Join(dir, "none")} {
		c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{KeyFile: file}}, box)
		if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); !errors.Is(err, sshx.ErrAuth) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want ErrAuth that names the file", file, err)
		}
	}
}

func TestAuth_RefusedLoginIsNoTransportError(t *testing.T) {
	for name, opt := range map[string]sshtest.Option{
		"another key":  sshtest.WithAuthorizedKeys(sshtest.NewSigner().PublicKey()),
		"another user": sshtest.WithUser("relay"),
	} {
		box := sshtest.Start(t, opt)
		c := sshtest.Client(t, sshx.Config{}, box)
		_, err := c.Run(within(t), box.Target("nyc1-1"), echo)
		var auth *sshx.AuthError
		if !errors.As(err, &auth) || errors.Is(err, sshx.ErrTransport) || auth.Hint() == "" || auth.User != "root" {
			t.Errorf("%s: %v, want AuthError with a hint", name, err)
		}
	}
}

// protectedKey is a key that opens nothing, with the passphrase "sesame". It was made with
// ssh-keygen -a 1: the rounds that x/crypto/ssh would use take seconds under the race detector.
const protectedKey = `b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABABxbeCE2
QE4S3D4FmyveojAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIOYgG/y9z1mrCL3r
VsOIywWN9T5ykb+s9ZQNK4Kfg137AAAAkNlEnu4eMxN+Eu2O2r90JcVy+j9CP0592upysm
Q5NCEkqiAvYLiLXPch9dV/mug8H4Y8KxJz8F9rdz7xcbVLVY8H81ci3TUlEoveI9i7Ai1v
TKm0/eC9wr2+V7g3z4S60Rn7I+jYSBarh0CvSPKD1m6QrQ/Rmvhgzy522sxvhn9tbtX9Yv
b88zi6q07sr9xbzA==`

// protected writes a key file with a passphrase.
func protected(t *testing.T) (file string, public ssh.PublicKey, private any) {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(protectedKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: der})
	private, err = ssh.ParseRawPrivateKeyWithPassphrase(text, []byte("sesame"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, s.PublicKey(), private
}

func TestAuth_PassphraseIsAskedForOnce(t *testing.T) {
	file, public, _ := protected(t)
	for answer, want := range map[string]error{"sesame": nil, "wrong": sshx.ErrAuth} {
		var asked atomic.Int32
		var boxes []*sshtest.Box
		for range 3 {
			boxes = append(boxes, sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithAuthorizedKeys(public)))
		}
		c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{KeyFile: file, Passphrase: func(context.Context, string) ([]byte, error) {
			asked.Add(1)
			return []byte(answer), nil
		}}}, boxes...)
		var wg sync.WaitGroup
		for _, box := range boxes {
			wg.Go(func() {
				if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); !errors.Is(err, want) {
					t.Errorf("with %q: %v, want %v", answer, err, want)
				}
			})
		}
		wg.Wait()
		if got := asked.Load(); got != 1 {
			t.Errorf("asked %d times, want 1", got)
		}
	}
}

// startAgent serves a keyring on a socket whose path is short enough for macOS.
func startAgent(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ag")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				serve(c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return filepath.Join(dir, "s")
}

func TestAuth_AgentHoldsTheProtectedKey(t *testing.T) {
	file, public, private := protected(t)
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	socket := startAgent(t, func(c net.Conn) { _ = agent.ServeAgent(ring, c) })
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithAuthorizedKeys(public))
	c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{KeyFile: file, AgentSocket: socket}}, box)
	if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); err != nil {
		t.Error(err)
	}
}

func TestAuth_BrokenAgents(t *testing.T) {
	hung := startAgent(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }) // until the client leaves
	empty := startAgent(t, func(c net.Conn) { _ = agent.ServeAgent(agent.NewKeyring(), c) })
	for name, tc := range map[string]struct {
		socket string
		want   error
	}{
		"none":  {filepath.Join(t.TempDir(), "none"), sshx.ErrAuth},
		"empty": {empty, sshx.ErrAuth},
		"hung":  {hung, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			box := sshtest.Start(t, sshtest.WithExec(shell))
			timeout := soon
			if name == "hung" {
				timeout = 300 * time.Millisecond
			}
			c := sshtest.Client(t, sshx.Config{HandshakeTimeout: timeout, Auth: sshx.Auth{AgentSocket: tc.socket}}, box)
			if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("beside a key file", func(t *testing.T) {
		box := sshtest.Start(t, sshtest.WithExec(shell))
		c := sshtest.Client(t, sshx.Config{Auth: sshx.Auth{Signers: []ssh.Signer{box.Signer}, AgentSocket: filepath.Join(t.TempDir(), "none")}}, box)
		if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); err != nil {
			t.Errorf("a broken agent keeps a good key out: %v", err)
		}
	})
}
