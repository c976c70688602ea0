package box

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// TestMain is two programs: the tests, and the relay of the machines.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "relay" {
		syscall.Exit(fakeRelay(os.Args[1:])) // os.Exit takes a second under the race detector
	}
	goleak.VerifyTestMain(m)
}

// sshPort needs no root.
const sshPort = 2222

// site is a cloud's machines with an operator who can reach them.
type site struct {
	*Cloudlike
	dir    string
	key    string // authorized_keys form
	pins   *sshx.Pins
	client *sshx.Client

	mu   sync.Mutex
	last int
}

func newSite(t testing.TB) *site {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, "make a key", err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, "make a signer", err)
	s := &site{dir: filepath.Join(t.TempDir(), "cloud"), key: sshx.AuthorizedKey(signer.PublicKey())}
	s.Cloudlike = New(s.dir, nil)
	s.pins, err = sshx.OpenPins(filepath.Join(t.TempDir(), "known_hosts"))
	must(t, "pins", err)
	s.client, err = sshx.New(sshx.Config{Pins: s.pins, Auth: sshx.Auth{Signers: []ssh.Signer{signer}}})
	must(t, "ssh client", err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.client.Close()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := os.Lstat(s.dir); !os.IsNotExist(err) {
			t.Errorf("after Close: got %v for the directory, want it gone", err)
		}
	})
	return s
}

// order is a droplet's order with user data of fleetctl's, and the machine as a provider
// would list it.
func (s *site) order(t testing.TB) (dotest.Machine, fleet.Machine) {
	t.Helper()
	private, public, err := sshx.NewHostKey()
	must(t, "bootstrap key", err)
	text, err := host.UserData{
		User: fleet.LoginUser, Keys: []string{s.key}, HostKeyPEM: private, HostKeyPublic: public, SSHPort: sshPort,
	}.CloudConfig()
	must(t, "user data", err)
	s.mu.Lock()
	s.last++
	id := s.last
	s.mu.Unlock()
	node := fmt.Sprintf("nyc1-%d", id)
	return dotest.Machine{ID: id, Name: node, Region: "nyc1", UserData: text}, fleet.Machine{
		ID: fmt.Sprint(id), Node: node, Region: "nyc1", HostKey: public, User: fleet.LoginUser, Sudo: true,
		Ports: fleet.Ports{SSH: sshPort, TCP: 9100, QUIC: 9101},
	}
}

// boot makes a machine whose bootstrap key is pinned.
func (s *site) boot(t testing.TB) (int, fleet.Machine) {
	t.Helper()
	order, m := s.order(t)
	var err error
	m.Addrs, err = s.Boot(t.Context(), order)
	must(t, "Boot", err)
	must(t, "pin", s.pins.Set(s.at(t, m).Addr, m.HostKey))
	return order.ID, m
}

func (s *site) at(t testing.TB, m fleet.Machine) sshx.Target {
	t.Helper()
	at, err := host.Target(m)
	must(t, "target", err)
	return at
}

// run runs a command as root and returns what it said.
func (s *site) run(t testing.TB, m fleet.Machine, argv ...string) (out, errOut string, code int) {
	t.Helper()
	res, err := s.client.Run(t.Context(), s.at(t, m), sshx.Command{Argv: argv})
	must(t, fmt.Sprint(argv), err)
	return string(res.Stdout), string(res.Stderr), res.ExitCode
}

// mustRun runs a command that has to succeed.
func (s *site) mustRun(t testing.TB, m fleet.Machine, argv ...string) string {
	t.Helper()
	out, errOut, code := s.run(t, m, argv...)
	if code != 0 {
		t.Fatalf("%q: got exit %d, %q, want 0", argv, code, errOut)
	}
	return out
}

// spec is the fleet whose machines these are.
func spec() fleet.Spec {
	return fleet.Spec{Name: "demo", Provider: fleet.ProviderDigitalOcean, Relay: fleet.RelaySpec{
		Port: 9100, QUICPort: 9101, Network: "/demo", Name: "demo", Tier: "management",
		Limits: fleet.Limits{
			Reservations: 64, ReservationsIP: 32, Circuits: 16, CircuitsPerPeer: 4, CircuitDuration: 2 * time.Minute,
			CircuitData: 1 << 17, Connections: 128, Memory: 128 << 20, ProcessMemory: 512 << 20, OpenFiles: 4096,
		},
	}}
}

func (s *site) system() *host.System { return host.SystemOf(spec(), []string{s.key}) }

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// eventually waits for something that another process does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}
