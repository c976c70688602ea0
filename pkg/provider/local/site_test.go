package local

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/oklog/ulid/v2"
	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/providertest"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// site is one fleet's directory with its provider and an operator's key.
type site struct {
	*Provider
	dir    string
	signer ssh.Signer
	key    string // authorized_keys form
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, "make a key", err)
	s := &site{dir: filepath.Join(t.TempDir(), "demo")}
	s.signer, err = ssh.NewSignerFromKey(private)
	must(t, "make a signer", err)
	s.key = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.signer.PublicKey())))
	s.Provider = s.handle(t, change...)
	t.Cleanup(func() { s.raze(t) })
	return s
}

// handle is a provider over the site's directory.
func (s *site) handle(t *testing.T, change ...func(*Config)) *Provider {
	t.Helper()
	self, err := os.Executable()
	must(t, "find the test program", err)
	cfg := Config{Dir: s.dir, Fleet: "demo", Supervise: []string{self, "supervise", s.dir}}
	for _, f := range change {
		f(&cfg)
	}
	p, err := New(cfg)
	must(t, "New", err)
	return p
}

// raze removes everything and holds the provider to leaving nothing.
func (s *site) raze(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ms, err := s.Machines(ctx)
	if err != nil {
		t.Errorf("Machines: %v", err)
	}
	for _, m := range ms {
		if err := s.Delete(ctx, m.ID); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if err := s.Cleanup(ctx); err != nil {
		t.Errorf("Cleanup: %v", err)
	}
	if left := processesOf(s.dir); len(left) > 0 {
		t.Errorf("processes that are left: %v", left)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// processesOf lists the processes that have a path in dir among their arguments.
func processesOf(dir string) []int {
	pids, _ := process.Pids()
	var out []int
	for _, pid := range pids {
		p, err := process.NewProcess(pid)
		if err != nil {
			continue
		}
		argv, err := p.CmdlineSlice()
		if err == nil && slices.ContainsFunc(argv, func(a string) bool { return strings.HasPrefix(a, dir) }) {
			out = append(out, int(pid))
		}
	}
	return out
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// eventually waits for something that another process does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func (s *site) create(t *testing.T, node string, delay time.Duration) fleet.Machine {
	t.Helper()
	must(t, "EnsureKey", s.EnsureKey(t.Context(), s.key))
	m, err := s.Create(t.Context(), fleet.NewMachine{Node: node, Region: "r", Op: ulid.Make().String(), Delay: delay})
	must(t, "Create", err)
	return m
}

func (s *site) get(t *testing.T, id string) fleet.Machine {
	t.Helper()
	ms, err := s.Machines(t.Context())
	must(t, "Machines", err)
	for _, m := range ms {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("machine %s is not listed", id)
	return fleet.Machine{}
}

// supervisor is the process that lives now.
func (s *site) supervisor(t *testing.T) int {
	t.Helper()
	at, alive, err := supervised(s.dir)
	if err != nil || !alive {
		t.Fatalf("supervisor: got %v, %v, want one that lives", alive, err)
	}
	return at.Proc.PID
}

// killSupervisor ends the supervisor as a power cut does. The zombie is the test's.
func (s *site) killSupervisor(t *testing.T) {
	t.Helper()
	pid := s.supervisor(t)
	must(t, "kill the supervisor", syscall.Kill(pid, syscall.SIGKILL))
	_, _ = syscall.Wait4(pid, nil, 0, nil)
	for _, relay := range processesOf(filepath.Join(s.dir, boxesDir)) {
		_, _ = syscall.Wait4(relay, nil, syscall.WNOHANG, nil)
	}
}

func (s *site) dial(t *testing.T, m fleet.Machine) *ssh.Client {
	t.Helper()
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.HostKey))
	must(t, "host key", err)
	c, err := ssh.Dial("tcp", loopback(m.Ports.SSH), &ssh.ClientConfig{
		User: m.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.signer)}, HostKeyCallback: ssh.FixedHostKey(pinned),
	})
	must(t, "ssh", err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// run runs a command on a box.
func run(t *testing.T, c *ssh.Client, argv ...string) (stdout, stderr string, code int) {
	t.Helper()
	sess, err := c.NewSession()
	must(t, "session", err)
	defer func() { _ = sess.Close() }()
	var out, errOut bytes.Buffer
	sess.Stdout, sess.Stderr = &out, &errOut
	err = sess.Run(shellescape.QuoteCommand(argv))
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return out.String(), errOut.String(), exit.ExitStatus()
	}
	must(t, strings.Join(argv, " "), err)
	return out.String(), errOut.String(), 0
}

// mustRun runs a command that has to succeed and returns what it printed.
func mustRun(t *testing.T, c *ssh.Client, argv ...string) string {
	t.Helper()
	out, errOut, code := run(t, c, argv...)
	if code != 0 {
		t.Fatalf("%s: exit %d: %s", strings.Join(argv, " "), code, errOut)
	}
	return out
}

// install puts the relay of these tests on a box, past SSH.
func install(t *testing.T, m fleet.Machine, change ...func(*fakeConfig)) {
	t.Helper()
	self, err := os.Executable()
	must(t, "find the test program", err)
	release := filepath.Join(m.Root, boxsim.Releases, "abc")
	must(t, "release", os.MkdirAll(release, 0o755))
	must(t, "release", os.MkdirAll(filepath.Join(m.Root, "etc/relay"), 0o755))
	if err := os.Link(self, filepath.Join(release, "relay")); err != nil {
		text, err := os.ReadFile(self)
		must(t, "read the test program", err)
		must(t, "release", os.WriteFile(filepath.Join(release, "relay"), text, 0o755))
	}
	if _, err := os.Lstat(filepath.Join(m.Root, "opt/relay/current")); err != nil {
		must(t, "link", os.Symlink("releases/abc", filepath.Join(m.Root, "opt/relay/current")))
	}
	bind := m.Bind
	if bind == (fleet.Ports{}) {
		bind = m.Ports
	}
	cfg := fakeConfig{TCP: bind.TCP, QUIC: bind.QUIC, API: bind.API}
	for _, f := range change {
		f(&cfg)
	}
	text, err := json.Marshal(cfg)
	must(t, "configuration", err)
	must(t, "configuration", os.WriteFile(filepath.Join(m.Root, boxsim.ConfigPath), text, 0o600))
}

// serving makes a box whose relay runs and is enabled.
func (s *site) serving(t *testing.T, node string, delay time.Duration) (fleet.Machine, *ssh.Client) {
	t.Helper()
	m := s.create(t, node, delay)
	install(t, m)
	c := s.dial(t, m)
	mustRun(t, c, "systemctl", "enable", "relay.service")
	mustRun(t, c, "systemctl", "start", "relay.service")
	eventually(t, "the relay speaks", func() bool {
		return strings.Contains(mustRun(t, c, "journalctl", "-u", "relay.service", "-n", "50", "--no-pager", "-o", "short-iso"), "Local peer ID")
	})
	return s.get(t, m.ID), c
}

// property reads one line of systemctl show.
func property(t *testing.T, c *ssh.Client, key string) string {
	t.Helper()
	out := mustRun(t, c, "systemctl", "show", "-p", "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus", "relay.service")
	for line := range strings.Lines(out) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), "="); k == key {
			return v
		}
	}
	t.Fatalf("no %s in %q", key, out)
	return ""
}

func TestProvider_KeepsTheContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		s := newSite(t)
		return providertest.Subject{
			Provider: s, Fleet: "demo", Key: s.key,
			Again:     func(t *testing.T) fleet.Provider { return s.handle(t) },
			SwitchOff: func(t *testing.T, _ string) { s.killSupervisor(t) },
		}
	})
}
