package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// asRelay makes the test binary behave as the relay command.
const asRelay = "RELAY_TEST_AS_RELAY"

func TestMain(m *testing.M) {
	if os.Getenv(asRelay) != "" {
		main()
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// process is a relay as a child process.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *bytes.Buffer // read it after the end
	ended chan struct{} // closed then
	err   error         // of the end
	api   string
}

// spawn starts the command with the API on a free port and waits until it is ready.
func spawn(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, log: new(bytes.Buffer), ended: make(chan struct{}), api: freePort(t)}
	p.cmd = exec.Command(os.Args[0], append(args, "--api", p.api)...)
	p.cmd.Env = append(append(os.Environ(), asRelay+"=1"), env...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	p.until("ready", func() bool { return p.get("/readyz", nil) == 200 })
	return p
}

func (p *process) until(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-p.ended:
			p.t.Fatalf("never %s: the process ended: %v\n%s", what, p.err, p.log)
		case <-deadline:
			p.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func (p *process) get(path string, into any) int {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.api+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q)
	if err != nil {
		return 0
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
	return a.StatusCode
}

// code waits for the end.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
		var exit *exec.ExitError
		if errors.As(p.err, &exit) {
			return exit.ExitCode()
		}
		if p.err != nil {
			p.t.Fatal(p.err)
		}
		return 0
	case <-time.After(patience):
		p.t.Fatal("the process did not end")
		return -1
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// relay runs the command in this process.
func runRelay(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code := run(ctx, &app{stdout: &out, stderr: &errs, version: "1.2.3", revision: "abc"}, args)
	return code, out.String(), errs.String()
}

func user(t *testing.T, p *process) {
	t.Helper()
	var report stats.Report
	p.get("/api/stats", &report)
	infos, err := peer.AddrInfoFromString(report.ListenAddrs[0] + "/p2p/" + report.PeerID)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.UserAgent("x/1/edge"), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.Connect(ctx, *infos); err != nil {
		t.Fatal(err)
	}
	p.until("a user is counted", func() bool {
		return p.metric("relay_users ") == "1" // /metrics has no limit on requests
	})
}

// metric is the value of one of our series.
func (p *process) metric(name string) string {
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.api+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(q)
	if err != nil {
		return ""
	}
	defer a.Body.Close()
	text, _ := io.ReadAll(a.Body)
	_, rest, _ := strings.Cut(string(text), "\n"+name)
	value, _, _ := strings.Cut(rest, "\n")
	return value
}
