package local

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
