package host

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestParseCloudInit_SaysWhyAFirstBootDidNotEndWell(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         string // of the error; "" for none
	}{
		{"done", `{"status": "done", "errors": []}`, ""},
		{"dots before", "....\n{\"status\": \"done\"}", ""},
		{"disabled", `{"status": "disabled"}`, ""},
		{"only deprecated", `{"status":"done","extended_status":"degraded done","recoverable_errors":{"DEPRECATED":["old key"]}}`, ""},
		{"only warnings", `{"status":"done","extended_status":"degraded done","recoverable_errors":{"WARNING":["no mirror"]}}`, ""},
		{"degraded", `{"status":"done","extended_status":"degraded done","recoverable_errors":{"WARNING":["no mirror"],"ERROR":["no \u001b[1mkey"]}}`, "status degraded done: no [1mkey; no mirror"},
		{"error", `{"status":"error","errors":["users-groups failed"]}`, "status error: users-groups failed"},
		{"an error without words", `{"status":"error"}`, "status error"},
		{"still running", `{"status":"running"}`, "status running"},
		{"no JSON", "usage: cloud-init", "status unknown: it says usage"},
		{"nothing", "", "status unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := parseCloudInit([]byte(c.answer))
			switch {
			case e == nil && c.want != "":
				t.Errorf("parseCloudInit(%s) = no error, want %q", c.answer, c.want)
			case e != nil && (c.want == "" || !strings.Contains(e.Error(), c.want)):
				t.Errorf("parseCloudInit(%s) = %q, want %q", c.answer, e, c.want)
			}
		})
	}
}

func TestParseCloudInit_WarningsAreToldAndNotFatal(t *testing.T) {
	failed, warned := parseCloudInit([]byte(`{"status":"done","extended_status":"degraded done","recoverable_errors":{"WARNING":["no \u001b[1mmirror"]}}`))
	if failed != nil || !slices.Equal(warned, []string{"no [1mmirror"}) {
		t.Errorf("got %v and warnings %q, want the warning alone, cleaned", failed, warned)
	}
}

func TestWaitsFor_WhatIsFinalIsNotWaitedOut(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		what     string
		deadline time.Duration
	}{
		"no error":           {nil, "", 0},
		"refused":            {&sshx.TransportError{Op: "dial", Err: errors.New("connection refused")}, waitPort, 5 * time.Minute},
		"an early handshake": {&sshx.TransportError{Op: "handshake", Err: errors.New("EOF")}, waitHostKey, 5 * time.Minute},
		"another host key":   {&sshx.HostKeyMismatchError{}, "", 0},
		"no pin":             {&sshx.NoPinError{}, "", 0},
		"no login yet":       {&sshx.AuthError{}, waitLogin, 2 * time.Minute},
		"no sudo yet":        {&sshx.SudoError{}, waitLogin, 2 * time.Minute},
		"the operator":       {&sshx.TransportError{Op: "dial", Err: context.Canceled}, "", 0},
		"a command failed":   {&exitError{command: "uname", code: 1}, "", 0},
	} {
		if what, deadline := waitsFor(c.err); what != c.what || deadline != c.deadline {
			t.Errorf("%s: waitsFor = %q, %s; want %q, %s", name, what, deadline, c.what, c.deadline)
		}
	}
}

func TestClockOf(t *testing.T) {
	for answer, want := range map[string]int{
		"CanNTP=yes\nNTP=yes\nNTPSynchronized=no\n": clockKept,
		"CanNTP=no\nNTP=no\nNTPSynchronized=yes\n":  clockKept,
		"CanNTP=yes\nNTP=no\nNTPSynchronized=no\n":  clockOff,
		"CanNTP=no\nNTP=no\nNTPSynchronized=no\n":   clockAlone,
		"": clockUnknown, "NTP=maybe": clockUnknown,
	} {
		if got := clockOf(answer); got != want {
			t.Errorf("clockOf(%q) = %d, want %d", answer, got, want)
		}
	}
}

func TestWithoutSwap_CommentsSwapOutAndNothingElse(t *testing.T) {
	const fstab = "# swap below\nUUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n#/old none swap sw 0 0\n"
	got, changed := withoutSwap(fstab)
	if want := strings.Replace(fstab, "\n/swapfile", "\n# off by fleetctl: /swapfile", 1); got != want || !changed {
		t.Errorf("withoutSwap = %q, %t; want %q", got, changed, want)
	}
	if again, changed := withoutSwap(got); changed || again != got {
		t.Errorf("a second time = %q, want no change", again)
	}
}

func TestParseFree(t *testing.T) {
	const head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
	for answer, want := range map[string]int64{
		head + "/dev/vda1 25000000 1000000 24000000 4% /\n": 24000000 << 10,
		head + "/dev/vda1 100 110 -10 100% /\n":             0,
	} {
		if got, err := parseFree(answer); err != nil || got != want {
			t.Errorf("parseFree(%q) = %d, %v; want %d", answer, got, err, want)
		}
	}
	for _, bad := range []string{"", head, head + "a b c d e f\n", head + "/dev/vda1 1 1 99999999999999999 1% /", "one line 1 1 1 1"} {
		if got, err := parseFree(bad); err == nil {
			t.Errorf("parseFree(%q) = %d, want an error", bad, got)
		}
	}
}

func TestListener_IsFoundWhateverTheBoxSaysBeside(t *testing.T) {
	for answer, want := range map[string]string{
		`LISTEN 0 4096 127.0.0.1:9847 0.0.0.0:* users:(("relay",pid=344,fd=9))`: "344",
		`LISTEN 0 5 *:9847 *:* users:(("a",pid=1,fd=3),("b",pid=2,fd=3))`:       "1",
		"": "", "LISTEN 0 5 *:9847 *:*": "", `users:(("x",pid=../../etc,fd=1))`: "",
	} {
		if got := listenerPID(answer); got != want {
			t.Errorf("listenerPID(%q) = %q, want %q", answer, got, want)
		}
	}
	for cgroup, want := range map[string]string{
		"0::/system.slice/bitterbot.service\n":                                         "bitterbot.service",
		"12:pids:/x\n0::/system.slice/system-relay.slice/relay@nyc.service\n":          "relay@nyc.service",
		"0::/user.slice/user-0.slice/session-3.scope\n":                                "",
		"0::/system.slice/-rf.service\n":                                               "",
		"0::/system.slice/a b.service\n":                                               "",
		"0::/docker/1234\n":                                                            "",
		"1:name=systemd:/system.slice/old.service\n0::/system.slice/old.service/sub\n": "old.service",
	} {
		if got := serviceInCgroup(cgroup); got != want {
			t.Errorf("serviceInCgroup(%q) = %q, want %q", cgroup, got, want)
		}
	}
}

func TestAbsent_TellsAMissingCommandFromOneThatFailed(t *testing.T) {
	for _, c := range []struct {
		res  sshx.Result
		want bool
	}{
		{sshx.Result{ExitCode: 127}, true},
		{sshx.Result{ExitCode: 1, Stderr: []byte("sudo: cloud-init: command not found\n")}, true},
		{sshx.Result{ExitCode: 1, Stderr: []byte("sudo: cloud-init: Befehl nicht gefunden\n")}, true},
		{sshx.Result{ExitCode: 1, Stderr: []byte("sudo: unable to resolve host box\nsudo: cloud-init: command not found\n")}, true},
		{sshx.Result{ExitCode: 1, Stderr: []byte("sudo: unable to resolve host box\nstatus: error\n")}, false},
		{sshx.Result{ExitCode: 1, Stderr: []byte("error: command not found\n")}, false},
		{sshx.Result{ExitCode: 1}, false},
		{sshx.Result{}, false},
	} {
		if got := absent(cloudInit(), c.res); got != c.want {
			t.Errorf("absent(%d, %q) = %t, want %t", c.res.ExitCode, c.res.Stderr, got, c.want)
		}
	}
}
