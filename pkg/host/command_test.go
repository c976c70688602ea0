package host

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestCommands_AreTheFixedTableOfABox(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	a, err := dnsaddr.ParseAddr("/ip4/192.0.2.7/tcp/9100/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	m, spec := droplet()
	for _, c := range append([]sshx.Command{
		uname(), digest(ReleaseFile(sha)), readCurrent(), listReleases(), listState(StateDir), makeDir(ReleaseDir(sha)),
		linkRelease(sha), rename(Current+".next", Current), removeRelease(sha), showUnit(),
		control("enable"), control("disable"), control("start"), control("stop"), control("restart"),
		journal(20, false), journal(20, true), ping(a),
	}, SystemOf(spec, nil).Commands(m)...) {
		kind := "write"
		if c.ReadOnly {
			kind = "read "
		}
		b.WriteString(kind + " " + c.Timeout.String() + "  " + shellescape.QuoteCommand(c.Argv) + "\n")
	}
	const golden = "testdata/commands.golden"
	if slices.Contains(flag.Args(), "update") {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("commands differ from %s (-want +got):\n%s", golden, diff)
	}
}

func TestSuperfluous_KeepsFiveWithTheCurrentAndTheOneBefore(t *testing.T) {
	name := func(c string) string { return strings.Repeat(c, 64) }
	newest := []string{name("1"), name("2"), name("3"), name("4"), name("5"), name("6"), name("7")}
	for _, c := range []struct {
		name            string
		list            []string
		current, before string
		want            []string
	}{
		{"fewer than five", newest[:4], name("1"), name("2"), nil},
		{"newest current", newest, name("1"), name("2"), []string{name("6"), name("7")}},
		{"a rollback to the oldest", newest, name("7"), name("1"), []string{name("5"), name("6")}},
		{"both are the oldest", newest, name("7"), name("6"), []string{name("4"), name("5")}},
		{"no one before", newest, name("1"), "", []string{name("6"), name("7")}},
		{"what is no release stays", append([]string{"..", "notes", "-rf"}, newest...), name("1"), name("2"), []string{name("6"), name("7")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, superfluous(c.list, c.current, c.before)); diff != "" {
				t.Errorf("superfluous (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseUnit(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		runs             bool
	}{
		{"serving", "ActiveState=active\nSubState=running\nResult=success\nNRestarts=0\nMainPID=7\n", "relay.service is active (running)", true},
		{"failed", "ActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=4\nMainPID=0\nExecMainStatus=3", "relay.service is failed, result exit-code, exit status 3, restarted 4 times by systemd", false},
		{"starting", "ActiveState=activating\nSubState=start\nMainPID=9", "relay.service is activating (start)", true},
		{"waiting to be restarted", "ActiveState=activating\nSubState=auto-restart\nMainPID=0\nResult=signal\nExecMainStatus=9", "relay.service is activating (auto-restart), result signal, exit status 9", false},
		{"nonsense numbers", "ActiveState=active\nMainPID=-4\nNRestarts=many", "relay.service is active", true},
		{"escapes", "ActiveState=\x1b[2Jactive\n", "relay.service is [2Jactive", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := parseUnit(c.text)
			if err != nil || u.String() != c.want || u.runs() != c.runs {
				t.Errorf("parseUnit = %q, runs %t, %v; want %q, %t", u, u.runs(), err, c.want, c.runs)
			}
		})
	}
	if u, err := parseUnit("no idea"); err == nil {
		t.Errorf("parseUnit of nonsense = %v, want an error", u)
	}
}

func TestClean_LeavesNothingThatDrivesATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                     "plain",
		"\x1b[31mred\x1b[0m":        "[31mred[0m",
		"a\nb\tc":                   "a b c",
		"bad \xff\xfe utf8":         "bad  utf8",
		"right\u202eto left\u0007":  "rightto left",
		strings.Repeat("x", 100000): strings.Repeat("x", 50) + "…",
		"\u009b31mC1":               "31mC1",
	} {
		if got := clean(in, 50); got != want {
			t.Errorf("clean(%.40q) = %q, want %q", in, got, want)
		}
	}
}
