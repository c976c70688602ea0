package box

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

func TestRelay_RunsOnTheMachinesOwnAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.serving(t, "management")
	if got := s.property(t, m, "ActiveState") + "/" + s.property(t, m, "SubState"); got != "active/running" {
		t.Errorf("state: got %s, want active/running", got)
	}
	c, err := net.Dial("tcp", net.JoinHostPort(m.Addrs[0].String(), "9100"))
	must(t, "the relay's port on the machine's address", err)
	_ = c.Close()
	api := http.Client{Transport: &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) { //nolint:staticcheck // a test
		return s.client.Dial(t.Context(), s.at(t, m), "127.0.0.1:9847")
	}}}
	resp, err := api.Get("http://127.0.0.1:9847/readyz") //nolint:noctx // a test
	must(t, "API through the tunnel", err)
	body, err := io.ReadAll(resp.Body)
	must(t, "API through the tunnel", err)
	_ = resp.Body.Close()
	if !strings.Contains(string(body), `"ready": true`) {
		t.Errorf("API through the tunnel: got %q, want that it is ready", body)
	}
	if conn, err := s.client.Dial(t.Context(), s.at(t, m), "127.0.0.1:22"); err == nil {
		_ = conn.Close()
		t.Error("tunnel to another port: was opened, want it refused")
	}
	config := s.mustRun(t, m, "cat", "/etc/relay/relay.yaml")
	if !strings.Contains(config, `state: "/var/lib/relay"`) || !strings.Contains(config, `api: "127.0.0.1:9847"`) {
		t.Errorf("configuration on the machine: got %q, want it as fleetctl wrote it", config)
	}
	info, err := os.Stat(filepath.Join(s.Root(id), boxsim.StatePath))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("StateDirectory: got %v, %v, want it made with mode 0700", info, err)
	}
}

func TestRelay_KilledComesBackAfterThePauseOfItsUnit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.RestartDelay = 200 * time.Millisecond
	id, m := s.serving(t, "management")
	pid := s.PID(id)
	must(t, "kill the relay", syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, "the relay is back", func() bool {
		return s.PID(id) != pid && s.property(t, m, "ActiveState") == "active"
	})
	if got := s.property(t, m, "NRestarts"); got != "1" {
		t.Errorf("restarts: got %s, want 1", got)
	}
	s.mustRun(t, m, "systemctl", "restart", relayUnit)
	if got := s.property(t, m, "NRestarts"); got != "0" {
		t.Errorf("restarts after one by hand: got %s, want 0", got)
	}
}

func TestRelay_WaitingToBeRestartedCanBeStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t) // RestartSec=5s
	id, m := s.serving(t, "management")
	must(t, "kill the relay", syscall.Kill(s.PID(id), syscall.SIGKILL))
	eventually(t, "the death is seen", func() bool { return s.property(t, m, "ActiveState") == "activating" })
	if got := s.property(t, m, "SubState") + " " + s.property(t, m, "Result") + " " + s.property(t, m, "ExecMainStatus"); got != "auto-restart signal 9" {
		t.Errorf("dead relay: got %q, want auto-restart signal 9", got)
	}
	s.mustRun(t, m, "systemctl", "stop", relayUnit)
	if got := s.property(t, m, "ActiveState"); got != "inactive" {
		t.Errorf("after stop: got %s, want inactive", got)
	}
	if _, _, code := s.run(t, m, "systemctl", "is-active", relayUnit); code != 3 {
		t.Errorf("is-active of a stopped service: got exit %d, want 3", code)
	}
}

func TestRelay_ThatSaysNothingToTheWatchdogIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.RestartDelay = 10 * time.Millisecond
	id, m := s.serving(t, "management", "WatchdogSec=30s", "WatchdogSec=300ms")
	pid := s.PID(id)
	must(t, "stop the process", syscall.Kill(pid, syscall.SIGSTOP))
	eventually(t, "another relay runs", func() bool {
		return s.PID(id) != pid && s.property(t, m, "ActiveState") == "active"
	})
	if out := s.mustRun(t, m, "journalctl", "-u", relayUnit, "-n", "50", "--no-pager", "-o", "short-iso"); !strings.Contains(out, "result watchdog") {
		t.Errorf("journal: got %q, want the watchdog's word", out)
	}
}

func TestRelay_ThatEndsBeforeItIsReadyFailsTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.boot(t)
	s.install(t, id, m, "exit")
	_, errOut, code := s.run(t, m, "systemctl", "start", relayUnit)
	if code != 1 || !strings.Contains(errOut, "Job for relay.service failed") {
		t.Errorf("start of a broken relay: got exit %d, %q, want 1 and why", code, errOut)
	}
	if got := s.property(t, m, "ActiveState") + " " + s.property(t, m, "Result"); got != "activating exit-code" {
		t.Errorf("state: got %q, want activating exit-code: the unit does not give up", got)
	}
	s.mustRun(t, m, "systemctl", "stop", relayUnit)
}

func TestRelay_ThatIsNeverReadyIsKilledAfterItsTime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.boot(t)
	s.install(t, id, m, "mute", "TimeoutStartSec=60s", "TimeoutStartSec=300ms", "Restart=always", "Restart=no")
	if _, errOut, code := s.run(t, m, "systemctl", "start", relayUnit); code != 1 {
		t.Errorf("start: got exit %d, %q, want 1", code, errOut)
	}
	if got := s.property(t, m, "ActiveState") + " " + s.property(t, m, "Result") + " " + s.property(t, m, "MainPID"); got != "failed timeout 0" {
		t.Errorf("state: got %q, want failed timeout 0", got)
	}
}

func TestRelay_StartedTooOftenIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.RestartDelay = time.Millisecond
	id, m := s.boot(t)
	s.install(t, id, m, "exit", "StartLimitIntervalSec=0", "StartLimitIntervalSec=1h\nStartLimitBurst=3")
	_, _, _ = s.run(t, m, "systemctl", "start", relayUnit)
	eventually(t, "the service has given up", func() bool { return s.property(t, m, "Result") == "start-limit-hit" })
	if got := s.property(t, m, "NRestarts"); got != "2" {
		t.Errorf("restarts: got %s, want 2 after the first start", got)
	}
	if _, errOut, code := s.run(t, m, "systemctl", "start", relayUnit); code != 1 || !strings.Contains(errOut, "too quickly") {
		t.Errorf("a start by hand: got exit %d, %q, want it refused", code, errOut)
	}
}

func TestUnits_AreReadAtDaemonReload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, m := s.boot(t)
	for verb, code := range map[string]int{"start": 5, "stop": 5, "restart": 5, "enable": 1, "disable": 1} {
		if _, errOut, got := s.run(t, m, "systemctl", verb, relayUnit); got != code || !strings.Contains(errOut, "not found") {
			t.Errorf("%s without a unit: got exit %d, %q, want %d", verb, got, errOut, code)
		}
	}
	s.install(t, id, m, "management")
	path := filepath.Join(s.Root(id), unitDir, relayUnit)
	text, err := os.ReadFile(path)
	must(t, "read the unit", err)
	must(t, "break the unit", os.WriteFile(path, []byte(strings.Replace(string(text), "User=relay", "User=nobody-known", 1)), 0o600))
	s.mustRun(t, m, "systemctl", "start", relayUnit)
	s.mustRun(t, m, "systemctl", "stop", relayUnit)
	s.mustRun(t, m, "systemctl", "daemon-reload")
	if _, errOut, code := s.run(t, m, "systemctl", "start", relayUnit); code != 1 || !strings.Contains(errOut, "217/USER") {
		t.Errorf("start after the reload: got exit %d, %q, want the user that is not there", code, errOut)
	}
	s.mustRun(t, m, "systemctl", "stop", relayUnit)
}

func TestParseSpan_ReadsWhatUnitsSay(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "5s": 5 * time.Second, "100ms": 100 * time.Millisecond, "1min 30s": 90 * time.Second,
		"0": 0, "infinity": 0, "2h": 2 * time.Hour, "1.5": 1500 * time.Millisecond,
	} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "5 parsecs", "-1"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestParseService_FleetctlsUnitHasNothingThatIsIgnored(t *testing.T) {
	s := &site{key: testKey}
	_, m := s.order(t)
	got := parseService(s.unitText(t, m))
	if len(got.ignored) > 0 {
		t.Errorf("ignored: got %q, want nothing", got.ignored)
	}
	if got.kind != "notify" || got.policy.Restart != "always" || got.policy.Interval != 0 || got.policy.Delay == 0 || got.watchdog == 0 {
		t.Errorf("unit: got %+v, want a notifying service that is always restarted, without a limit", got)
	}
	if !strings.HasPrefix(got.exec, "/opt/relay/current/relay run --config /etc/relay/relay.yaml") {
		t.Errorf("ExecStart: got %q", got.exec)
	}
	bad := parseService("[Service]\nRestartSec=soon\nnonsense\nRestart=always\n")
	if len(bad.ignored) != 2 || bad.policy.Restart != "always" {
		t.Errorf("bad unit: got %+v, want two lines ignored and the rest read", bad)
	}
}

// testKey is somebody's public key.
const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHvNmUeLIjaYX3wBQ5vDyLgzrOjhvJHVWcLwVnpFmmUa"
