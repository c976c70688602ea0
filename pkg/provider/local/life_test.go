package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
)

func TestBox_RunsARelay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m, c := s.serving(t, "nyc1-1", 0)
	if got := property(t, c, "ActiveState") + "/" + property(t, c, "SubState"); got != "active/running" {
		t.Errorf("state: got %s, want active/running", got)
	}
	if got := property(t, c, "MainPID"); got != strconv.Itoa(m.PID) || m.PID == 0 {
		t.Errorf("process: got %s over SSH and %d in the list, want the same", got, m.PID)
	}
	if got := echo(t, m.Ports.TCP, "hello"); got != "hello" {
		t.Errorf("relay's port: got %q, want an echo", got)
	}
	api := http.Client{Transport: &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) { //nolint:staticcheck // a test
		return c.Dial("tcp", "127.0.0.1:9847")
	}}}
	resp, err := api.Get("http://127.0.0.1:9847/readyz") //nolint:noctx // a test
	must(t, "API through the tunnel", err)
	body, err := io.ReadAll(resp.Body)
	must(t, "API through the tunnel", err)
	_ = resp.Body.Close()
	if string(body) != "ready" {
		t.Errorf("API through the tunnel: got %q, want ready", body)
	}
	mustRun(t, c, "systemctl", "stop", "relay.service")
	if got := property(t, c, "ActiveState") + "/" + property(t, c, "Result"); got != "inactive/success" {
		t.Errorf("after stop: got %s, want inactive/success", got)
	}
	if _, _, code := run(t, c, "systemctl", "is-active", "relay.service"); code != 3 {
		t.Errorf("is-active of a stopped service: got exit %d, want 3", code)
	}
	if got := s.get(t, m.ID).PID; got != 0 {
		t.Errorf("after stop: got process %d, want none", got)
	}
}

func TestBox_TunnelLeadsToTheAPIOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	c := s.dial(t, m)
	for _, to := range []string{"127.0.0.1:22", loopback(m.Ports.SSH), loopback(m.Ports.API), "192.0.2.1:9847"} {
		if conn, err := c.Dial("tcp", to); err == nil {
			_ = conn.Close()
			t.Errorf("tunnel to %s: was opened, want it refused", to)
		}
	}
}

func TestUnit_DeadRelayIsFailedAndNotRestarted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m, c := s.serving(t, "nyc1-1", 0)
	must(t, "kill the relay", syscall.Kill(m.PID, syscall.SIGKILL))
	eventually(t, "the death is seen", func() bool { return property(t, c, "ActiveState") == "failed" })
	if got := property(t, c, "Result") + " " + property(t, c, "ExecMainStatus") + " " + property(t, c, "MainPID"); got != "signal 9 0" {
		t.Errorf("killed relay: got %q, want signal 9 0", got)
	}
	must(t, "Start of the running machine", s.Start(t.Context(), m.ID))
	if got := property(t, c, "ActiveState"); got != "failed" {
		t.Errorf("after Start of a machine that runs: got %s, want its relay left alone", got)
	}
	mustRun(t, c, "systemctl", "start", "relay.service")
	if got := property(t, c, "ActiveState"); got != "active" {
		t.Errorf("after systemctl start: got %s, want active", got)
	}
}

func TestUnit_ExitStatusIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	install(t, m, func(c *fakeConfig) { c.Exit = 7 })
	c := s.dial(t, m)
	mustRun(t, c, "systemctl", "start", "relay.service")
	eventually(t, "the end is seen", func() bool { return property(t, c, "ActiveState") == "failed" })
	if got := property(t, c, "Result") + " " + property(t, c, "ExecMainStatus"); got != "exit-code 7" {
		t.Errorf("relay that ended with 7: got %q, want exit-code 7", got)
	}
}

func TestUnit_StubbornRelayIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	install(t, m, func(c *fakeConfig) { c.Stubborn = true })
	c := s.dial(t, m)
	mustRun(t, c, "systemctl", "start", "relay.service")
	eventually(t, "the relay listens", func() bool { return (usedPort{m.Ports.API, "tcp", ""}).free() != nil })
	mustRun(t, c, "systemctl", "stop", "relay.service")
	if got := property(t, c, "ActiveState") + " " + property(t, c, "Result") + " " + property(t, c, "MainPID"); got != "failed timeout 0" {
		t.Errorf("stubborn relay: got %q, want failed timeout 0", got)
	}
}

func TestUnit_StartWithoutReleaseSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	c := s.dial(t, m)
	_, errOut, code := run(t, c, "systemctl", "start", "relay.service")
	if code != 1 || !strings.Contains(errOut, "/opt/relay/current/relay") {
		t.Errorf("start of nothing: got exit %d, %q, want 1 and the path", code, errOut)
	}
}

func TestUnit_PortInUseNamesPortAndBox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	install(t, m)
	c := s.dial(t, m)
	other, err := net.ListenPacket("udp", loopback(m.Ports.QUIC))
	must(t, "take the port", err)
	defer func() { _ = other.Close() }()
	_, errOut, code := run(t, c, "systemctl", "start", "relay.service")
	if code != 1 || !strings.Contains(errOut, m.ID) || !strings.Contains(errOut, strconv.Itoa(m.Ports.QUIC)) {
		t.Errorf("start with a port in use: got exit %d, %q, want 1, the box and port %d", code, errOut, m.Ports.QUIC)
	}
}

func TestSupervisor_KilledIsReplacedAndTheRelayAdopted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	off := s.get(t, was.ID)
	if off.Status != fleet.StatusStopped || off.PID != was.PID {
		t.Errorf("without a supervisor: got %s with process %d, want stopped with %d", off.Status, off.PID, was.PID)
	}
	if got := echo(t, was.Ports.TCP, "hello"); got != "hello" {
		t.Errorf("relay without a supervisor: got %q, want an echo", got)
	}
	must(t, "Start", s.Start(t.Context(), was.ID))
	now := s.get(t, was.ID)
	if now.PID != was.PID || now.Ports != was.Ports || now.HostKey != was.HostKey || now.Status != fleet.StatusRunning {
		t.Errorf("adopted: got %+v, want %+v", now, was)
	}
	c := s.dial(t, now)
	mustRun(t, c, "systemctl", "stop", "relay.service")
	if got := property(t, c, "MainPID"); got != "0" {
		t.Errorf("after stop of an adopted relay: got process %s, want none", got)
	}
}

func TestSupervisor_AdoptsByTheLockWhenItsNotesAreLost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "lose the notes", os.Remove(filepath.Join(boxDir(s.dir, was.ID), unitFile)))
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != was.PID {
		t.Errorf("adopted: got process %d, want %d", now.PID, was.PID)
	}
}

func TestSupervisor_NeverTakesAnotherProcessForItsRelay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "kill the relay", syscall.Kill(was.PID, syscall.SIGKILL))
	path := filepath.Join(boxDir(s.dir, was.ID), unitFile)
	var st unitState
	must(t, "read the notes", readJSON(path, &st))
	st.Proc.PID, st.Enabled = os.Getpid(), false // the number was given to somebody else: us
	must(t, "write the notes", writeJSON(path, st))
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != 0 {
		t.Errorf("got process %d for the relay, want none", now.PID)
	}
	must(t, "Delete", s.Delete(t.Context(), was.ID)) // and we live on
}

func TestSupervisor_StartsRelaysThatWereSwitchedOffWithTheComputer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "kill the relay", syscall.Kill(was.PID, syscall.SIGKILL))
	must(t, "Start", s.Start(t.Context(), was.ID))
	now := s.get(t, was.ID)
	if now.PID == 0 || now.PID == was.PID || now.Ports != was.Ports {
		t.Errorf("after the switch-off: got process %d, ports %v, want a new one on %v", now.PID, now.Ports, was.Ports)
	}
}

func TestSupervisor_TwoStartersGetOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pids := make([]int, 4)
	var g errgroup.Group
	for i := range pids {
		p := s.handle(t)
		g.Go(func() error {
			at, err := p.ensure(t.Context())
			pids[i] = at.Proc.PID
			return err
		})
	}
	must(t, "start", g.Wait())
	for _, pid := range pids {
		if pid != pids[0] {
			t.Errorf("supervisors: got %v, want one", pids)
		}
	}
	if got := processesOf(s.dir); len(got) != 1 {
		t.Errorf("processes: got %v, want one supervisor", got)
	}
}

func TestSupervisor_OpensASocketThatWasRemovedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	at, _, err := supervised(s.dir)
	must(t, "find the socket", err)
	must(t, "remove the socket", os.Remove(at.Socket))
	if got := s.get(t, m.ID); got.Status != fleet.StatusRunning {
		t.Errorf("after the socket was removed: got %s, want running", got.Status)
	}
}

func TestSupervisor_ThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, "make the directory", os.MkdirAll(s.dir, 0o700))
	must(t, "put a file in the way", os.WriteFile(filepath.Join(s.dir, boxesDir), nil, 0o600))
	err := s.EnsureKey(t.Context(), s.key)
	if err == nil || !strings.Contains(err.Error(), boxesDir) || fleet.Hint(err) == "" {
		t.Errorf("got error %v with hint %q, want one that names %s", err, fleet.Hint(err), boxesDir)
	}
	must(t, "clear the way", os.Remove(filepath.Join(s.dir, boxesDir)))
}

func TestProvider_TwoFleetsShareNothing(t *testing.T) {
	t.Parallel()
	one, two := newSite(t), newSite(t)
	a, _ := one.serving(t, "nyc1-1", 0)
	b, _ := two.serving(t, "nyc1-1", 0)
	ports := map[int]bool{}
	for _, p := range []fleet.Ports{a.Ports, b.Ports} {
		for _, port := range []int{p.SSH, p.TCP, p.QUIC, p.WS, p.API} {
			if ports[port] || port < firstPort || port > lastPort {
				t.Errorf("port %d is used twice or out of range: %v, %v", port, a.Ports, b.Ports)
			}
			ports[port] = true
		}
	}
	must(t, "Delete", one.Delete(t.Context(), a.ID))
	must(t, "Cleanup", one.Cleanup(t.Context()))
	if got := two.get(t, b.ID); got.PID != b.PID || got.Status != fleet.StatusRunning {
		t.Errorf("the other fleet: got %+v, want %+v", got, b)
	}
}

func TestPorts_OfABoxThatIsOffAreNotGivenAway(t *testing.T) {
	t.Parallel()
	one, two := newSite(t), newSite(t)
	a := one.create(t, "nyc1-1", 0)
	one.killSupervisor(t)
	dir, err := runtimeDir()
	must(t, "directory of sockets", err)
	err = withPorts(t.Context(), dir, boxDir(one.dir, a.ID)+"-other", 5, nil, func(ports []int) error {
		for _, p := range ports {
			if p >= a.Ports.SSH && p <= a.Ports.API {
				t.Errorf("port %d was promised to %s", p, a.ID)
			}
		}
		return os.ErrClosed
	})
	if err == nil {
		t.Error("withPorts: got no error, want that of its function")
	}
	_ = two
}

func TestDelete_TakesWhatIsHalfDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "half delete", os.Remove(filepath.Join(boxDir(s.dir, m.ID), machineFile)))
	if ms, err := s.Machines(t.Context()); err != nil || len(ms) != 0 {
		t.Errorf("half a box: got %v, %v, want it not listed", ms, err)
	}
	left, err := s.Leftovers(t.Context())
	if err != nil || !strings.Contains(fmt.Sprint(left), m.ID) {
		t.Errorf("leftovers: got %q, %v, want half a box", left, err)
	}
	must(t, "Cleanup", s.Cleanup(t.Context()))
	if got := processesOf(s.dir); len(got) != 0 {
		t.Errorf("processes after Cleanup: %v", got)
	}
}

func TestMachines_DamagedBoxIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	path := filepath.Join(boxDir(s.dir, m.ID), machineFile)
	good, err := os.ReadFile(path)
	must(t, "read", err)
	must(t, "damage", os.WriteFile(path, good[:len(good)/2], 0o600))
	if ms, err := s.Machines(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged box: got %v, %v, want an error that names the file", ms, err)
	}
	must(t, "repair", os.WriteFile(path, good, 0o600))
}

func TestCleanup_KeepsWhatOthersNeed(t *testing.T) {
	t.Parallel()
	kept := true
	s := newSite(t, func(c *Config) { c.KeepDir = func() (bool, string) { return kept, "records of others" } })
	m := s.create(t, "nyc1-1", 0)
	must(t, "Delete", s.Delete(t.Context(), m.ID))
	zone := filepath.Join(s.dir, "zone.json")
	must(t, "zone file", os.WriteFile(zone, []byte("{}"), 0o600))
	must(t, "Cleanup", s.Cleanup(t.Context()))
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 1 {
		t.Errorf("what is left: got %v, %v, want the zone file alone", entries, err)
	}
	if left, err := s.Leftovers(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("leftovers: got %q, %v, want none", left, err)
	}
	kept = false
}

func TestBox_DelayCountsInBothDirections(t *testing.T) {
	t.Parallel()
	const delay = 40 * time.Millisecond
	s := newSite(t)
	m, _ := s.serving(t, "nyc1-1", delay)
	if m.Bind == m.Ports || m.Bind.TCP == 0 || m.Bind.API != m.Ports.API {
		t.Errorf("ports: got %+v to dial and %+v to listen on", m.Ports, m.Bind)
	}
	for _, network := range []string{"tcp", "udp"} {
		port := m.Ports.TCP
		if network == "udp" {
			port = m.Ports.QUIC
		}
		c, err := net.Dial(network, loopback(port))
		must(t, network, err)
		defer func() { _ = c.Close() }()
		must(t, network, c.SetDeadline(time.Now().Add(10*time.Second)))
		begin := time.Now()
		_, err = c.Write([]byte("x"))
		must(t, network, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		must(t, network, err)
		if took := time.Since(begin); took < 2*delay {
			t.Errorf("%s round trip: got %s, want at least %s", network, took, 2*delay)
		}
	}
}

// echo sends a word to a port and returns what comes back.
func echo(t *testing.T, port int, word string) string {
	t.Helper()
	c, err := net.Dial("tcp", loopback(port))
	must(t, "dial", err)
	defer func() { _ = c.Close() }()
	must(t, "deadline", c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(c, word)
	must(t, "write", err)
	must(t, "end", c.(*net.TCPConn).CloseWrite())
	back, err := io.ReadAll(c)
	must(t, "read", err)
	return string(back)
}
