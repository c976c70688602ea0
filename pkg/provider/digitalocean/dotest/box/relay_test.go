package box

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/goccy/go-yaml"
	"github.com/gofrs/flock"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// fakeConfig is what the relay of these tests reads of its configuration. Tier says how
// it behaves: "exit", "stubborn", "mute" (says nothing to systemd).
type fakeConfig struct {
	Tier   string   `yaml:"tier"`
	State  string   `yaml:"state"`
	Listen []string `yaml:"listen"`
	API    string   `yaml:"api"`
}

// fakeRelay is the relay of these tests: it locks its state, listens, and tells systemd.
func fakeRelay(args []string) int {
	if len(args) != 3 || args[0] != "run" {
		fmt.Println(strings.Join(args, " "), os.Getenv("SECRET"))
		return 0
	}
	if err := serveFake(args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveFake(file string) error {
	var cfg fakeConfig
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, &cfg)
	}
	if err != nil {
		return err
	}
	if cfg.Tier == "exit" {
		return errors.New("it is broken")
	}
	lock := flock.New(filepath.Join(cfg.State, "relay.lock"))
	if got, err := lock.TryLock(); err != nil || !got {
		return fmt.Errorf("locked: %w", err)
	}
	if err := os.WriteFile(lock.Path(), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	at := strings.Split(cfg.Listen[0], "/") // /ip4/A/tcp/P
	l, err := net.Listen("tcp", net.JoinHostPort(at[2], at[4]))
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	api, err := net.Listen("tcp", cfg.API)
	if err != nil {
		return err
	}
	go func() {
		_ = http.Serve(api, http.HandlerFunc(answer)) //nolint:gosec // of a test
	}()
	fmt.Println("Local peer ID: fake")
	if cfg.Tier == "mute" {
		<-term
		return nil
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	for alive := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-alive.C:
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		case <-term:
			if cfg.Tier != "stubborn" {
				return nil
			}
		}
	}
}

// answer is the daemon's API, as far as a box is judged by it.
func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/readyz":
		fmt.Fprint(w, `{"ready": true, "reason": ""}`)
	case "/api/version":
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		fmt.Fprintf(w, `{"version": "v1.2.3", "sha256": "%x"}`, sha256.Sum256(data))
	case "/api/reservations":
		fmt.Fprint(w, `{"active": 0}`)
	default:
		http.NotFound(w, r)
	}
}

// unitText is fleetctl's unit for a machine.
func (s *site) unitText(t testing.TB, m fleet.Machine) string {
	t.Helper()
	for _, p := range s.system().Parts(m) {
		if p.Name == host.PartUnit {
			return p.Files[0].Text
		}
	}
	t.Fatal("no unit")
	return ""
}

// install puts the relay of these tests, the configuration that fleetctl would write and
// its unit on a machine; change may edit the unit. Nothing is enabled or started.
func (s *site) install(t testing.TB, id int, m fleet.Machine, tier string, change ...string) {
	t.Helper()
	sp := spec()
	sp.Relay.Tier = tier
	unit := strings.NewReplacer(change...).Replace(s.unitText(t, m))
	root := s.Root(id)
	put := func(name, text string, mode fs.FileMode) {
		must(t, name, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		must(t, name, os.WriteFile(filepath.Join(root, name), []byte(text), mode))
	}
	put(boxsim.ConfigPath, fleet.RelayConfig(sp, m), 0o640)
	put(unitDir+"/"+relayUnit, unit, 0o644)
	self, err := os.Executable()
	must(t, "find the test program", err)
	release := filepath.Join(root, boxsim.Releases, "abc")
	must(t, "release", os.MkdirAll(release, 0o755))
	if err := os.Link(self, filepath.Join(release, "relay")); err != nil {
		data, err := os.ReadFile(self)
		must(t, "read the test program", err)
		must(t, "release", os.WriteFile(filepath.Join(release, "relay"), data, 0o755))
	}
	must(t, "current", os.Symlink("releases/abc", filepath.Join(root, "opt/relay/current")))
	if _, _, code := s.run(t, m, "getent", "passwd", host.User); code != 0 {
		s.mustRun(t, m, "/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/var/lib/relay",
			"--shell", "/usr/sbin/nologin", host.User)
	}
	s.mustRun(t, m, "systemctl", "daemon-reload")
}

// serving makes a machine whose relay runs and is enabled.
func (s *site) serving(t testing.TB, tier string, change ...string) (int, fleet.Machine) {
	t.Helper()
	id, m := s.boot(t)
	s.install(t, id, m, tier, change...)
	s.mustRun(t, m, "systemctl", "enable", relayUnit)
	s.mustRun(t, m, "systemctl", "start", relayUnit)
	return id, m
}

// property is one line of systemctl show.
func (s *site) property(t testing.TB, m fleet.Machine, name string) string {
	t.Helper()
	out := s.mustRun(t, m, "systemctl", "show", "-p", "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus", relayUnit)
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("systemctl show does not say %s: %q", name, out)
	return ""
}
