package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func TestContract18_SIGTERMAndSIGINTFlushTheCensusAndExitZero(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		state := filepath.Join(t.TempDir(), "state")
		p := spawn(t, nil, "run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0")
		user(t, p)
		if err := p.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := p.code(); code != 0 {
			t.Errorf("%s: exit %d, want 0\n%s", signal, code, p.log)
		}
		text, err := os.ReadFile(filepath.Join(state, "bootnode-peers.json"))
		if err != nil || strings.Count(string(text), "peer_pubkey") != 1 {
			t.Errorf("%s: census = %s %v, want the one user", signal, text, err)
		}
		_, id, _ := runRelay(t, "id", "--state", state)
		if n := strings.Count(p.log.String(), "Local peer ID: "+strings.TrimSpace(id)); n != 1 {
			t.Errorf("%s: the log has the peer ID %d times, want once\n%s", signal, n, p.log)
		}
	}
}

func TestRun_TwoDaemonsNeverShareAStateAndAKilledOneLetsGo(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	p := spawn(t, nil, "run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0")
	code, _, errs := runRelay(t, "run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0", "--api", freePort(t))
	if code != exitLocked || !strings.Contains(errs, "hint: stop process") {
		t.Errorf("second daemon: exit %d, %s; want %d and whom to stop", code, errs, exitLocked)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.code()
	again := spawn(t, nil, "run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0")
	if err := again.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := again.code(); code != 0 {
		t.Errorf("after a kill: exit %d\n%s", code, again.log)
	}
}

func TestRun_TellsSystemdReadyWatchdogAndStopping(t *testing.T) {
	dir, err := os.MkdirTemp("", "sd") // socket paths are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "n"), "WATCHDOG_USEC=100000"},
		"run", "--state", filepath.Join(t.TempDir(), "state"), "--listen", "/ip4/127.0.0.1/tcp/0")
	next := func() string {
		buf := make([]byte, 4096)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatalf("systemd was not told: %v", err)
		}
		return string(buf[:n])
	}
	if got := next(); got != "READY=1" {
		t.Errorf("first = %q, want READY=1", got)
	}
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("then = %q, want WATCHDOG=1", got)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for got := next(); got != "STOPPING=1"; got = next() {
		if got != "WATCHDOG=1" {
			t.Errorf("after SIGTERM = %q, want STOPPING=1", got)
		}
	}
	if code := p.code(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestPing_AnswersAsJSONAndExitsFourWhenNobodyDoes(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	p := spawn(t, nil, "run", "--state", state, "--listen", "/ip4/127.0.0.1/tcp/0")
	var report stats.Report
	p.get("/api/stats", &report)
	type pong struct {
		Addr   string   `json:"addr"`
		PeerID string   `json:"peer_id"`
		RTTms  *float64 `json:"rtt_ms"`
		Error  string   `json:"error"`
	}
	ask := func(addr string) (int, pong) {
		code, out, _ := runRelay(t, "ping", addr, "-o", "json")
		var answer pong
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("ping %s: %q: %v", addr, out, err)
		}
		return code, answer
	}
	good := report.ListenAddrs[0] + "/p2p/" + report.PeerID
	if code, got := ask(good); code != 0 || got.Addr != good || got.PeerID != report.PeerID || got.RTTms == nil || got.Error != "" {
		t.Errorf("ping = %d %+v", code, got)
	}
	_, other, _ := runRelay(t, "id", "--init", "--state", filepath.Join(t.TempDir(), "other"))
	wrong := report.ListenAddrs[0] + "/p2p/" + strings.TrimSpace(other)
	if code, got := ask(wrong); code != exitUnreachable || got.PeerID != report.PeerID || !strings.Contains(got.Error, "another peer") {
		t.Errorf("another peer's ID: ping = %d %+v", code, got)
	}
	_, port, _ := net.SplitHostPort(freePort(t))
	if code, got := ask("/ip4/127.0.0.1/tcp/" + port + "/p2p/" + report.PeerID); code != exitUnreachable || got.RTTms != nil || got.Error == "" {
		t.Errorf("nobody there: ping = %d %+v", code, got)
	}
	if code, _, errs := runRelay(t, "ping", report.ListenAddrs[0]); code != exitError || !strings.Contains(errs, "hint: end the address with /p2p/") {
		t.Errorf("without a peer ID: exit %d %s", code, errs)
	}
}

func TestID_CreatesNothingUnlessInit(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	code, out, errs := runRelay(t, "id", "--state", state)
	if code != exitError || out != "" || !strings.Contains(errs, "--init") {
		t.Errorf("without an identity: exit %d %q %q", code, out, errs)
	}
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory was made: %v", err)
	}
	code, made, _ := runRelay(t, "id", "--init", "--state", state)
	if code != 0 || !strings.HasPrefix(made, "12D3KooW") {
		t.Errorf("--init: exit %d %q", code, made)
	}
	if code, again, _ := runRelay(t, "id", "--state", state); code != 0 || again != made {
		t.Errorf("again: exit %d %q, want %q", code, again, made)
	}
}

func TestVersionAndConfig(t *testing.T) {
	code, out, _ := runRelay(t, "version", "-o", "json")
	var v stats.Version
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version != "1.2.3" || v.Revision != "abc" || len(v.SHA256) != 64 {
		t.Errorf("version = %d %s %v", code, out, err)
	}
	if code, out, _ := runRelay(t, "version"); code != 0 || !strings.HasPrefix(out, "relay 1.2.3 abc go1.") {
		t.Errorf("version = %d %q", code, out)
	}
	if code, _, errs := runRelay(t, "version", "-o", "xml"); code != exitError || !strings.Contains(errs, "accepted are text and json") {
		t.Errorf("version -o xml = %d %q", code, errs)
	}
	path := filepath.Join(t.TempDir(), "relay.yaml")
	_, example, _ := runRelay(t, "config", "example")
	if err := os.WriteFile(path, []byte(example+"nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runRelay(t, "run", "--config", path); code != exitError || !strings.Contains(errs, `unknown key "nonsense"`) {
		t.Errorf("run = %d %q, want the unknown key", code, errs)
	}
	if code, out, _ := runRelay(t, "config", "schema"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("schema = %d %q", code, out)
	}
	for _, args := range [][]string{{"run"}, {"run", "--state", "x"}, {"run", "--config", path, "--state", "x", "--listen", "y"}, {"nonsense"}, {"ping"}} {
		if code, _, errs := runRelay(t, args...); code != exitError || errs == "" {
			t.Errorf("relay %v = %d %q, want 1 and why", args, code, errs)
		}
	}
}
