package sshserver_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func login(t *testing.T, box *sshtest.Box) *ssh.Client {
	t.Helper()
	nc, err := net.Dial("tcp", box.Addr)
	if err != nil {
		t.Fatal(err)
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(box.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	sc, chans, reqs, err := ssh.NewClientConn(nc, box.Addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(box.Signer)},
		HostKeyCallback: ssh.FixedHostKey(hostKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := ssh.NewClient(sc, chans, reqs)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func files(t *testing.T, box *sshtest.Box) *sftp.Client {
	t.Helper()
	fc, err := sftp.NewClient(login(t, box))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fc.Close() })
	return fc
}

// outside makes a box whose directory has links that lead out of it, to a secret beside it.
func outside(t *testing.T) (box *sshtest.Box, secret string) {
	t.Helper()
	top := t.TempDir()
	secret = filepath.Join(top, "secret")
	dir := filepath.Join(top, "box")
	err := errors.Join(
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.Mkdir(dir, 0o750),
		os.Symlink(secret, filepath.Join(dir, "absolute")),
		os.Symlink("../secret", filepath.Join(dir, "relative")),
		os.Symlink("..", filepath.Join(dir, "up")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return sshtest.Start(t, sshtest.WithDir(dir)), secret
}

func TestJail_NothingOutsideIsReached(t *testing.T) {
	box, secret := outside(t)
	fc := files(t, box)
	for _, name := range []string{"/absolute", "/relative", "/up/secret", "/../secret", secret} {
		if f, err := fc.Open(name); err == nil {
			got, _ := io.ReadAll(f)
			t.Errorf("open %s: read %q", name, got)
		}
		if f, err := fc.OpenFile(name, os.O_WRONLY|os.O_TRUNC); err == nil {
			_ = f.Close()
			t.Errorf("truncate %s: no error", name)
		}
		if err := fc.Chmod(name, 0o777); err == nil {
			t.Errorf("chmod %s: no error", name)
		}
		if _, err := fc.Stat(name); err == nil {
			t.Errorf("stat %s: no error", name)
		}
	}
	for _, name := range []string{"/up/new", "/up/box2/new"} {
		if _, err := fc.Create(name); err == nil {
			t.Errorf("create %s: no error", name)
		}
		if err := fc.Mkdir(name); err == nil {
			t.Errorf("mkdir %s: no error", name)
		}
		if err := fc.PosixRename("/relative", name); err == nil {
			t.Errorf("rename to %s: no error", name)
		}
		if err := fc.Symlink("x", name); err == nil {
			t.Errorf("symlink %s: no error", name)
		}
	}
	if _, err := fc.ReadDir("/up"); err == nil {
		t.Error("the directory above was listed")
	}
	if err := fc.Link("/up/secret", "/mine"); err == nil {
		t.Error("a hard link to the secret was made")
	}
	for _, target := range []string{secret, "../secret", "a/../../secret", "/"} {
		if err := fc.Symlink(target, "/link"); err == nil {
			t.Errorf("a link to %s was made", target)
		}
	}
	got, err := os.ReadFile(secret)
	info, _ := os.Stat(secret)
	if err != nil || string(got) != "secret" || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret is now %q with mode %v, %v", got, info.Mode(), err)
	}
	left, _ := os.ReadDir(filepath.Dir(secret))
	if len(left) != 2 {
		t.Errorf("beside the box: %v", left)
	}
}

func TestJail_ServesWhatAHostNeeds(t *testing.T) {
	box := sshtest.Start(t)
	fc := files(t, box)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("mkdir", fc.MkdirAll("/opt/relay/releases/a"))
	f, err := fc.Create("/opt/relay/releases/a/relay")
	must("create", err)
	_, err = f.Write([]byte("binary"))
	must("write", err)
	must("sync", f.Sync())
	must("chmod", f.Chmod(0o755))
	must("close", f.Close())
	must("symlink", fc.Symlink("releases/a", "/opt/relay/next"))
	must("posix rename", fc.PosixRename("/opt/relay/next", "/opt/relay/current"))
	if got, err := fc.ReadLink("/opt/relay/current"); err != nil || got != "releases/a" {
		t.Errorf("readlink: %q, %v", got, err)
	}
	if info, err := fc.Stat("/opt/relay/current/relay"); err != nil || info.Mode().Perm() != 0o755 || info.Size() != 6 {
		t.Errorf("stat through the link: %v, %v", info, err)
	}
	if info, err := fc.Lstat("/opt/relay/current"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("lstat: %v, %v", info, err)
	}
	must("truncate", fc.Truncate("/opt/relay/current/relay", 3))
	if err := fc.Rename("/opt/relay/current/relay", "/opt/relay/current"); err == nil {
		t.Error("a plain rename replaced a file")
	}
	if err := fc.Remove("/"); err == nil {
		t.Error("the root was removed")
	}
	must("remove", fc.Remove("/opt/relay/releases/a/relay"))
	must("rmdir", fc.RemoveDirectory("/opt/relay/releases/a"))
	if _, err := fc.Open("/opt/relay/current/relay"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of what is gone: %v, want fs.ErrNotExist", err)
	}
}

func TestServer_NoShellNoTerminalNoListening(t *testing.T) {
	box := sshtest.Start(t)
	c := login(t, box)
	sess, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sess.Close() }()
	if err := sess.RequestPty("xterm", 24, 80, nil); err == nil {
		t.Error("a terminal was given")
	}
	if err := sess.Shell(); err == nil {
		t.Error("a shell was given")
	}
	if ln, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = ln.Close()
		t.Error("a port was opened")
	}
	if conn, err := c.Dial("tcp", "127.0.0.1:22"); err == nil {
		_ = conn.Close()
		t.Error("a tunnel was opened")
	}
}

func TestServer_CommandsThatCannotBeParsed(t *testing.T) {
	box := sshtest.Start(t)
	c := login(t, box)
	for line, code := range map[string]int{`echo 'open`: 2, ``: 2, `# comment`: 2, `nothing "here"`: 127, strings.Repeat("a", 1000): 127} {
		sess, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var exit *ssh.ExitError
		if err := sess.Run(line); !errors.As(err, &exit) || exit.ExitStatus() != code {
			t.Errorf("%.20q: %v, want exit code %d", line, err, code)
		}
	}
}
