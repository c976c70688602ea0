package host_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/stats"
)

// auditLines are the lines of a box's audit log.
func auditLines(t *testing.T, fake *hosttest.Fake, m fleet.Machine) []host.AuditLine {
	t.Helper()
	at, err := host.Target(m)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fake.ReadFile(t.Context(), at, host.AuditLog, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var out []host.AuditLine
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var line host.AuditLine
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
}

func TestAudit_EachWriteLeavesALineThatSaysWhoAndWhatAndHow(t *testing.T) {
	fake, box, m, _ := serving(t)
	h := host.New(host.Config{
		Runner: fake, Tunnel: fake, Actor: "ann@desk", Command: "fleetctl up",
		Plan: func() string { return "sha256:0123" },
	})
	before := len(auditLines(t, fake, m))
	calls := []struct {
		did string
		do  func() error
	}{
		{"configure: write configuration, restart", func() error { return h.Configure(t.Context(), m, config(99), fleet.Release{}) }},
		{"introduce: 1 peers", func() error { return h.Introduce(t.Context(), m, []string{"/ip4/192.0.2.7/tcp/1"}) }},
		{"drain", func() error { return h.Drain(t.Context(), m) }},
		{"stop", func() error { return h.Stop(t.Context(), m) }},
		{"exec: uname -s -m", func() error {
			_, err := h.Exec(t.Context(), m, host.Proof{}, []string{"uname", "-s", "-m"})
			return err
		}},
	}
	for _, c := range calls {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.did, err)
		}
	}
	lines := auditLines(t, fake, m)[before:]
	if len(lines) != len(calls) {
		t.Fatalf("%d audit lines, want %d: %+v", len(lines), len(calls), lines)
	}
	for i, line := range lines {
		if line.Did != calls[i].did || line.Actor != "ann@desk" || line.Command != "fleetctl up" || line.Plan != "sha256:0123" || line.Result != "ok" || line.Time.IsZero() {
			t.Errorf("audit line %+v, want %q by ann@desk, ok", line, calls[i].did)
		}
	}
	box.Reply("systemctl stop", "no", 1)
	box.Reply("systemctl show", "ActiveState=active\nMainPID=7\n", 0)
	if err := h.Stop(t.Context(), m); err == nil {
		t.Error("Stop of a relay that goes on succeeded")
	}
	all := auditLines(t, fake, m)
	if last := all[len(all)-1]; last.Did != "stop" || last.Result == "ok" {
		t.Errorf("audit line of a failed stop = %+v, want its error", last)
	}
}

func TestIntroduce_RefusesWhatWouldBreakTheFile(t *testing.T) {
	fake, _, m, h := serving(t)
	for _, bad := range []string{"", "a\nb", "# a comment", "/ip4/\x1b[0m", strings.Repeat("x", 600)} {
		if err := h.Introduce(t.Context(), m, []string{bad}); err == nil {
			t.Errorf("Introduce(%.20q) succeeded", bad)
		}
	}
	at, err := host.Target(m)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := fake.ReadFile(t.Context(), at, host.PeersFile, 100); err == nil {
		t.Errorf("the box holds %q, want no file", data)
	}
}

func TestPing_AnExitStatusIsAnErrorWithItsWords(t *testing.T) {
	_, box, m, h := serving(t)
	a, err := dnsaddr.ParseAddr("/ip4/192.0.2.7/tcp/9100/p2p/" + otherPeer)
	if err != nil {
		t.Fatal(err)
	}
	box.Reply(host.Binary+" ping", `{"rtt_ms":1}`, 0)
	if err := h.Ping(t.Context(), m, a); err != nil {
		t.Errorf("Ping: %v", err)
	}
	box.Reply(host.Binary+" ping", "\x1b[1mnobody answers\n", 4)
	err = h.Ping(t.Context(), m, a)
	if err == nil || !strings.Contains(err.Error(), "nobody answers") || strings.Contains(err.Error(), "\x1b") || errors.Is(err, fleet.ErrNotAsked) {
		t.Errorf("Ping = %v, want what the box said, cleaned, as an answer", err)
	}
	box.Reply(host.Binary+" ping", "sh: relay: not found\n", 127)
	if err := h.Ping(t.Context(), m, a); !errors.Is(err, fleet.ErrNotAsked) {
		t.Errorf("Ping from a box without the relay's program = %v, want ErrNotAsked", err)
	}
}

func TestLogs_DropWhatDrivesATerminal(t *testing.T) {
	_, box, m, h := serving(t)
	box.Reply("journalctl -u relay.service -n 7 ", "one\n\x1b[31mtwo\x07\n", 0)
	var out bytes.Buffer
	if err := h.Logs(t.Context(), m, 7, false, &out); err != nil || out.String() != "one\n[31mtwo\n" {
		t.Errorf("Logs = %q, %v; want two clean lines", out.String(), err)
	}
	box.Reply("journalctl -u relay.service -n 8 ", "no journal", 1)
	if err := h.Logs(t.Context(), m, 8, false, &out); err == nil || !strings.Contains(err.Error(), "no journal") {
		t.Errorf("Logs = %v, want what journalctl said", err)
	}
}

func TestStop_OfABoxThatCannotBeReadIsAnError(t *testing.T) {
	_, box, m, h := serving(t)
	broken := errors.New("connection reset")
	box.Unreachable(broken)
	if err := h.Stop(t.Context(), m); !errors.Is(err, broken) {
		t.Errorf("Stop = %v, want the connection's error", err)
	}
}

func TestStop_ARelayThatCannotBeDisabledIsNotStopped(t *testing.T) {
	_, box, m, h := serving(t)
	box.Reply("systemctl disable", "Access denied", 1)
	if err := h.Stop(t.Context(), m); err == nil || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("Stop = %v, want that it could not be disabled", err)
	}
}

func TestCarryCensus_StopsTheOldRelayBeforeItReadsItsRegister(t *testing.T) {
	fake, box, from, h := serving(t)
	put(t, fake, from, host.CensusFile, census("AAE=", 3, 1, 2))
	if err := h.CarryCensus(t.Context(), from, machine(23)); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Inspect(t.Context(), from); err != nil || got.Active {
		t.Errorf("Inspect = %+v, %v; want the old relay stopped", got, err)
	}
	if n := box.Started(); n != 1 {
		t.Errorf("the old relay was started %d times, want once", n)
	}
}

func TestCarryCensus_JoinsAnImportThatWaits(t *testing.T) {
	fake := hosttest.NewFake()
	from, to := machine(1), machine(2)
	put(t, fake, from, host.CensusFile, census("AAE=", 3, 10, 20))
	put(t, fake, to, host.ImportFile, strings.TrimSuffix(census("AAE=", 5, 5, 15), "]")+","+census("AAI=", 1, 1, 2)[1:])
	var writes atomic.Int64
	h := host.New(host.Config{Runner: &hosttest.Counter{Runner: fake, Writes: &writes}, Tunnel: fake})
	for range 2 {
		if err := h.CarryCensus(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
	}
	at, err := host.Target(to)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fake.ReadFile(t.Context(), at, host.ImportFile, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"first_seen_at":5,"last_seen_at":20`, `"connection_count":5`, `"AAI="`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the import is %s, want %s in it", data, want)
		}
	}
	if n := writes.Load(); n > 3 { // the import and a line for each call
		t.Errorf("two calls wrote %d times, want the import once", n)
	}
}

// The daemon merges an import when it starts, which one that goes may never do again.
func TestCarryCensus_AnImportThatWaitsOnTheOldBoxGoesAlong(t *testing.T) {
	for what, register := range map[string]string{"with a register": census("AAE=", 3, 10, 20), "without one": ""} {
		fake := hosttest.NewFake()
		from, to := machine(1), machine(2)
		if register != "" {
			put(t, fake, from, host.CensusFile, register)
		}
		put(t, fake, from, host.ImportFile, census("AAI=", 1, 1, 2))
		var writes atomic.Int64
		h := host.New(host.Config{Runner: &hosttest.Counter{Runner: fake, Writes: &writes}, Tunnel: fake})
		for range 2 {
			if err := h.CarryCensus(t.Context(), from, to); err != nil {
				t.Fatal(err)
			}
		}
		got, _ := fake.Box(addr(to)).File(host.ImportFile)
		if !strings.Contains(got, `"AAI="`) || strings.Contains(got, `"AAE="`) != (register != "") {
			t.Errorf("%s: got the import %s, want whoever the old box met or was told of", what, got)
		}
		if n := writes.Load(); n > 3 {
			t.Errorf("%s: two calls wrote %d times, want the import once", what, n)
		}
	}
}

func TestCarryCensus_ADamagedImportOnTheOldBoxIsAnError(t *testing.T) {
	fake := hosttest.NewFake()
	from, to := machine(1), machine(2)
	put(t, fake, from, host.CensusFile, census("AAE=", 3, 10, 20))
	put(t, fake, from, host.ImportFile, `[{"peer_pubkey":"AAE="`)
	err := host.New(host.Config{Runner: fake, Tunnel: fake}).CarryCensus(t.Context(), from, to)
	if err == nil || !strings.Contains(err.Error(), host.ImportFile) {
		t.Errorf("got %v, want an error that names %s", err, host.ImportFile)
	}
	if got, written := fake.Box(addr(to)).File(host.ImportFile); written {
		t.Errorf("got the import %s, want none", got)
	}
}

// A relay whose clock was wrong has lost nobody: the sight counts as one of now.
func TestCarryCensus_ASightInTheFutureIsCarriedAsOneOfNow(t *testing.T) {
	fake := hosttest.NewFake()
	from, to := machine(1), machine(2)
	put(t, fake, from, host.CensusFile, census("AAE=", 1, 1, 1<<40))
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	if err := h.CarryCensus(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	var got []stats.CensusEntry
	text, _ := fake.Box(addr(to)).File(host.ImportFile)
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 1 {
		t.Fatalf("import: got %+v, %v, want one peer", got, err)
	}
	if now := time.Now().Unix(); got[0].LastSeenAt > now || got[0].LastSeenAt < now-600 {
		t.Errorf("last seen: got %d, want now, %d", got[0].LastSeenAt, now)
	}
}

func TestCarryCensus_WhatIsDamagedIsNotCarried(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no array": `{"a":1}`, "half": `[{"peer_pubkey":"AAE="`, "binary": "\x00\xff\xfe",
		"a negative counter": census("AAE=", -3, 1, 2), "a key that is none": census("*", 1, 1, 2),
		"something behind": census("AAE=", 1, 1, 2) + "[]",
	} {
		t.Run(name, func(t *testing.T) {
			fake := hosttest.NewFake()
			from, to := machine(1), machine(2)
			put(t, fake, from, host.CensusFile, text)
			h := host.New(host.Config{Runner: fake, Tunnel: fake})
			if err := h.CarryCensus(t.Context(), from, to); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("CarryCensus = %v, want that the register is damaged", err)
			}
			if files := fake.Box(addr(to)).Files(); len(files) != 0 {
				t.Errorf("the other box holds %q, want nothing", files)
			}
		})
	}
}

func TestCarryCensus_ACopyThatDidNotArriveIsAnError(t *testing.T) {
	fake := hosttest.NewFake()
	from, to := machine(1), machine(2)
	put(t, fake, from, host.CensusFile, census("AAE=", 3, 1, 2))
	fake.Box(addr(to)).Reply("sha256sum", strings.Repeat("0", 64)+"  it\n", 0)
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	if err := h.CarryCensus(t.Context(), from, to); err == nil || !strings.Contains(err.Error(), "verify the copy") {
		t.Errorf("CarryCensus = %v, want that the copy could not be verified", err)
	}
}
