//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeRelay is a program that is kept in place of a relay: what it does stands in a shell
// script, with its arguments "run --config FILE".
func fakeRelay(t *testing.T, script string) (program, config string) {
	t.Helper()
	dir := t.TempDir()
	program, config = filepath.Join(dir, "fake"), filepath.Join(dir, "relay.yaml")
	for path, text := range map[string]string{program: "#!/bin/sh\n" + script + "\n", config: "fake\n"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return program, config
}

// site is a directory in which something is kept; whatever runs is ended with the test.
type site struct {
	t           *testing.T
	dir, config string
	args        []string
}

func keepSite(t *testing.T, script string) *site {
	t.Helper()
	program, config := fakeRelay(t, script)
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "keep"), config: config}
	s.args = []string{"--config", config, "--dir", s.dir, "--program", program}
	t.Cleanup(func() {
		k, there, err := readKept(s.dir)
		if err != nil || !there {
			return
		}
		for _, p := range []keptProcess{k.Keeper, k.Relay} {
			if p.alive(k.Config) {
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
		}
	})
	return s
}

// keep runs `relay keep …` as a process of its own.
func (s *site) keep(verb string, args ...string) (int, string, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], append([]string{"keep", verb}, args...)...)
	c.Env = append(os.Environ(), asRelay+"=1")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run() // its code is what is asked about
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func (s *site) must(verb string, args ...string) {
	s.t.Helper()
	if code, _, errs := s.keep(verb, args...); code != exitOK {
		log, _ := os.ReadFile(filepath.Join(s.dir, keepLog))
		s.t.Fatalf("keep %s: exit %d: %s\nlog: %s", verb, code, errs, log)
	}
}

func (s *site) status() keepStatus {
	s.t.Helper()
	_, out, errs := s.keep("status", "--dir", s.dir, "-o", "json")
	var st keepStatus
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		s.t.Fatalf("keep status: %q %q: %v", out, errs, err)
	}
	return st
}

// until waits for a status.
func (s *site) until(what string, holds func(keepStatus) bool) keepStatus {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		st := s.status() // takes its time by itself
		if holds(st) {
			return st
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never %s: %+v", what, st)
		}
	}
}

const serves = "echo \"$@\"; trap 'exit 0' TERM; while :; do sleep 0.05; done"

func TestKeep_StartIsIdempotentAndStopEndsEverything(t *testing.T) {
	t.Parallel()
	s := keepSite(t, serves)
	if st := s.status(); st != (keepStatus{Active: "inactive", Result: "success"}) {
		t.Errorf("before start: got %+v, want inactive", st)
	}
	s.must("stop", "--dir", s.dir)
	s.must("start", s.args...)
	one := s.status()
	if one.Active != "active" || one.PID == 0 || one.Restarts != 0 {
		t.Fatalf("after start: got %+v, want active", one)
	}
	s.must("start", s.args...)
	if two := s.status(); two != one {
		t.Errorf("after a second start: got %+v, want %+v", two, one)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, keepLog))
	if err != nil || !strings.Contains(string(log), "run --config "+s.config) {
		t.Errorf("log: got %q, %v, want what the program was called with", log, err)
	}
	k, _, err := readKept(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.must("stop", "--dir", s.dir)
	}
	if st := s.status(); st.Active != "inactive" || st.PID != 0 || st.Result != "success" {
		t.Errorf("after stop: got %+v, want inactive and success", st)
	}
	if k.Keeper.alive(k.Config) || k.Relay.alive(k.Config) {
		t.Error("after stop: a process still lives")
	}
}

func TestKeep_StartsARelayAgainThatWasKilled(t *testing.T) {
	t.Parallel()
	s := keepSite(t, serves)
	s.must("start", s.args...)
	was := s.status()
	if err := syscall.Kill(was.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	now := s.until("active again", func(st keepStatus) bool { return st.Active == "active" && st.PID != was.PID })
	if now.Restarts != 1 || now.Result != "signal" || now.Status != int(syscall.SIGKILL) {
		t.Errorf("after the kill: got %+v, want one restart and signal 9", now)
	}
	s.must("restart", s.args...)
	if st := s.status(); st.Active != "active" || st.PID == now.PID || st.Restarts != 0 {
		t.Errorf("after restart: got %+v, want another process and no restarts", st)
	}
}

func TestKeep_AKeeperThatWasKilledIsFailedAndItsRelayIsEndedBeforeTheNext(t *testing.T) {
	t.Parallel()
	s := keepSite(t, serves)
	s.must("start", s.args...)
	k, _, err := readKept(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.Keeper.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st := s.until("failed", func(st keepStatus) bool { return st.Active == "failed" })
	if st.PID != k.Relay.PID {
		t.Errorf("without its keeper: got PID %d, want that of the relay, %d", st.PID, k.Relay.PID)
	}
	s.must("start", s.args...)
	if now := s.status(); now.Active != "active" || now.PID == k.Relay.PID || k.Relay.alive(k.Config) {
		t.Errorf("after start: got %+v, want another relay and the first one gone", now)
	}
}

func TestKeep_ARecycledPIDIsNeverEnded(t *testing.T) {
	t.Parallel()
	s := keepSite(t, serves)
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	t.Cleanup(func() {
		_ = other.Process.Kill()
		<-ended
	})
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := processOf(other.Process.Pid)
	for _, p := range []keptProcess{stranger, {PID: stranger.PID, Started: stranger.Started - 100_000}, {PID: os.Getpid()}} {
		if err := (kept{Keeper: p, Relay: p, Config: s.config}).write(s.dir); err != nil {
			t.Fatal(err)
		}
		if st := s.status(); st.Active != "failed" || st.PID != 0 {
			t.Errorf("%+v: got status %+v, want failed without a process", p, st)
		}
		s.must("stop", "--dir", s.dir)
	}
	select {
	case err := <-ended:
		t.Errorf("the stranger ended: %v", err)
		ended <- err
	default:
	}
}

func TestKeep_NeverGivesUpAndSaysWhy(t *testing.T) {
	t.Parallel()
	program, config := fakeRelay(t, "echo again; exit 7")
	dir := t.TempDir()
	k := keeper{dir: dir, program: program, config: config, first: time.Millisecond, last: 4 * time.Millisecond, grace: time.Second, limit: 1 << 20, every: time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.run(ctx) }()
	tick := time.NewTicker(keepLook)
	defer tick.Stop()
	for range tick.C {
		now, _, err := readKept(dir)
		if err != nil || ctx.Err() != nil {
			t.Fatalf("never restarted 10 times: %+v, %v", now, err)
		}
		if now.Restarts >= 10 {
			if now.Result != "exit-code" || now.Status != 7 {
				t.Errorf("status: got %s %d, want exit-code 7", now.Result, now.Status)
			}
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func TestKeep_KillsARelayThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	program, config := fakeRelay(t, "trap '' TERM; echo ready; while :; do sleep 0.02; done")
	dir := t.TempDir()
	k := keeper{dir: dir, program: program, config: config, first: time.Second, last: time.Minute, grace: 50 * time.Millisecond, limit: 1 << 20, every: time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.run(ctx) }()
	tick := time.NewTicker(keepLook)
	defer tick.Stop()
	deadline := time.After(patience)
	for ready := false; !ready; {
		select {
		case <-tick.C:
			text, _ := os.ReadFile(filepath.Join(dir, keepLog))
			ready = strings.Contains(string(text), "ready")
		case <-deadline:
			t.Fatal("the program does not start")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-deadline:
		t.Fatal("the keeper does not end")
	}
	if now, _, _ := readKept(dir); now.Result != "signal" || now.Status != int(syscall.SIGKILL) || !now.Stopped {
		t.Errorf("after the end: got %+v, want killed and stopped", now)
	}
}

func TestRotate_KeepsOneOldLogAndTheWriterGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, text := range []string{"one one\n", "two two\n", "end\n"} {
		if _, err := writer.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := rotate(dir, 8); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{keepLog: "end\n", keepLog + ".1": "two two\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}
