//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// BenchmarkExec is `fleetctl exec` on hosts, a process from its start to its end, against
// the least that runs the same command on the same boxes, all at once. "ratio" is fleetctl
// over that.
func BenchmarkExec(b *testing.B) {
	for _, bc := range []struct {
		boxes int
		delay time.Duration // one way
	}{{100, 40 * time.Millisecond}, {3, 0}} {
		b.Run(fmt.Sprintf("boxes=%d/delay=%v", bc.boxes, bc.delay), func(b *testing.B) {
			h := listedHosts(b, bc.boxes, bc.delay)
			var ours, bare, cpu time.Duration
			for b.Loop() {
				began := time.Now()
				h.bare(b)
				bare += time.Since(began)
				began = time.Now()
				cpu += h.exec(b)
				ours += time.Since(began)
			}
			b.ReportMetric(float64(ours)/float64(bare), "ratio")
			b.ReportMetric(ours.Seconds()*1e3/float64(b.N), "ours-ms/op")
			b.ReportMetric(bare.Seconds()*1e3/float64(b.N), "bare-ms/op")
			b.ReportMetric(cpu.Seconds()*1e3/float64(b.N), "ours-cpu-ms/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// benchHosts is a fleet of SSH servers in this process, listed in fleet.yaml.
type benchHosts struct {
	dir    string
	signer ssh.Signer
	boxes  []*sshtest.Box
	noted  atomic.Int64 // lines of audit logs
	asked  atomic.Int64 // looks at marks alone
}

// listedHosts starts n boxes whose marks are as fleetctl writes them, or else as marks says.
func listedHosts(b testing.TB, n int, delay time.Duration, marks ...string) *benchHosts {
	b.Helper()
	dir := b.TempDir()
	state := filepath.Join(dir, "state", "fleetctl", "bench")
	if err := os.MkdirAll(state, 0o700); err != nil {
		b.Fatal(err)
	}
	key := filepath.Join(dir, "id_ed25519")
	if _, err := sshx.GenerateKey(key); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		b.Fatal(err)
	}
	h := &benchHosts{dir: dir, signer: signer}
	spec := "name: bench\nprovider: hosts\nhosts:\n"
	var pins strings.Builder
	for i := range n {
		own := fmt.Sprintf("{\n  \"fleet\": \"bench\",\n  \"node\": \"bench-%d\"\n}\n", i+1)
		if i < len(marks) && marks[i] != "" {
			own = marks[i]
		}
		box := sshtest.Start(b, sshtest.WithAuthorizedKeys(signer.PublicKey()), sshtest.WithDelay(delay), sshtest.WithExec(h.answer(own)))
		h.boxes = append(h.boxes, box)
		host, port, err := net.SplitHostPort(box.Addr)
		if err != nil {
			b.Fatal(err)
		}
		spec += fmt.Sprintf("  - {address: %s, port: %s, user: root, key: %s, region: bench}\n", host, port, key)
		fmt.Fprintf(&pins, "[%s]:%s %s\n", host, port, box.HostKey)
	}
	spec += "dns: {domain: p2p.bench.test}\n"
	for name, text := range map[string]string{filepath.Join(dir, "fleet.yaml"): spec, filepath.Join(state, "known_hosts"): pins.String()} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return h
}

// answer is what a box with these marks says: whose it is, and "ok" where that is proven. What comes
// by way of a shell is noted in its audit log.
func (h *benchHosts) answer(marks string) sshtest.Exec {
	return func(_ context.Context, argv []string, _ io.Reader, stdout, stderr io.Writer) int {
		n, toBeNoted := host.ParseNoted(argv)
		if said, code, refused := n.Refused([]byte(marks)); refused {
			fmt.Fprint(stderr, said)
			return code
		}
		if argv[0] == "cat" {
			h.asked.Add(1)
			fmt.Fprint(stdout, marks)
			return 0
		}
		if toBeNoted {
			h.noted.Add(1)
		}
		fmt.Fprintln(stdout, "ok")
		return 0
	}
}

// exec runs fleetctl and returns the time of the processor that it took.
func (h *benchHosts) exec(b *testing.B) time.Duration {
	c := h.command(b, built(b, "fleetctl"))
	var stderr strings.Builder
	c.Stderr = &stderr
	h.noted.Store(0)
	out, err := c.Output()
	if lines := strings.Count(string(out), "ok\n"); err != nil || lines != len(h.boxes) {
		b.Fatalf("fleetctl exec: %v, got %d answers, want %d\n%s", err, lines, len(h.boxes), stderr.String())
	}
	if noted := int(h.noted.Load()); noted != len(h.boxes) {
		b.Fatalf("got %d lines in audit logs, want %d", noted, len(h.boxes))
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// command is fleetctl that runs a command on all hosts.
func (h *benchHosts) command(b testing.TB, program string) *exec.Cmd {
	c := exec.CommandContext(b.Context(), program, "exec", "--all", "-q", "--", "true")
	c.Dir, c.Env = h.dir, append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(h.dir, "state"))
	return c
}

// bare runs the command on all boxes at once with x/crypto/ssh and nothing else.
func (h *benchHosts) bare(b *testing.B) {
	var wg sync.WaitGroup
	for _, box := range h.boxes {
		wg.Go(func() {
			if err := h.bareRun(box); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

func (h *benchHosts) bareRun(box *sshtest.Box) error {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(box.HostKey))
	if err != nil {
		return err
	}
	client, err := ssh.Dial("tcp", box.Addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(h.signer)}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	_, err = session.Output("true")
	return err
}

func TestExec_OnListedHostsProvesWhoseTheyAreWithoutALookAndRunsNothingOnAnotherFleets(t *testing.T) {
	h := listedHosts(t, 3, 0, "", `{"fleet": "other", "node": "x"}`, `{"node": "bench-3", "fleet": "bench"}`) // the last is ours, in another hand
	var stdout, stderr strings.Builder
	c := h.command(t, "fleetctl") // TestMain put itself there by that name
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if got := c.ProcessState.ExitCode(); got != exitPartial {
		t.Errorf("got exit %d (%v), want %d", got, err, exitPartial)
	}
	if got, want := stdout.String(), "bench-1: ok\nbench-3: ok\n"; sorted(got) != want {
		t.Errorf("got output %q, want %q", got, want)
	}
	if !strings.Contains(stderr.String(), `bench-2: `) || !strings.Contains(stderr.String(), `belongs to fleet "other"`) {
		t.Errorf("got messages %q, want whose bench-2 is", stderr.String())
	}
	if noted, asked := h.noted.Load(), h.asked.Load(); noted != 2 || asked != 2 {
		t.Errorf("got %d commands noted and %d looks at marks alone, want 2 and 2: one whose marks are as written is not asked", noted, asked)
	}
}

// sorted are the lines of text in order.
func sorted(text string) string {
	all := slices.Sorted(strings.Lines(text))
	return strings.Join(all, "")
}
