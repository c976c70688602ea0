package host

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestManagers_AreToldInTheseCommands(t *testing.T) {
	var b strings.Builder
	for _, service := range []string{fleet.ServiceSystemd, fleet.ServiceLaunchd, fleet.ServiceProcess} {
		b.WriteString("=== " + service + "\n")
		man := managerOf(fleet.Machine{Service: service})
		say := func(what string, all ...sshx.Command) {
			for _, c := range all {
				b.WriteString(what + ": " + shellescape.QuoteCommand(c.Argv) + "\n")
			}
		}
		for _, verb := range []string{"enable", "disable", "start", "stop", "restart"} {
			say(verb, man.control(verb)...)
		}
		say("reload", man.reload()...)
		say("show", man.show())
		say("journal", man.journal(20, false), man.journal(20, true))
		say("rename", man.rename("/a", "/b"))
		say("account", man.account("ann"))
	}
	golden(t, "managers.golden", b.String())
}

func TestManagers_ReadTheirOwnAnswers(t *testing.T) {
	for _, c := range []struct {
		name, service, answer, want string
		runs                        bool
	}{
		{"launchd runs", fleet.ServiceLaunchd, "system/x = {\n\tactive count = 1\n\tstate = running\n\tpid = 77\n\truns = 1\n}\n", launchdLabel + " is active", true},
		{"launchd waits", fleet.ServiceLaunchd, "\tstate = spawn scheduled\n\truns = 4\n\tlast exit code = 78: EX_CONFIG\n", launchdLabel + " is activating (spawn scheduled), restarted 3 times by launchd", false},
		{"launchd failed", fleet.ServiceLaunchd, "\tstate = not running\n\truns = 2\n\tlast exit code = 1\n", launchdLabel + " is failed (not running), result exit-code, exit status 1, restarted 1 times by launchd", false},
		{"keeper runs", fleet.ServiceProcess, `{"active":"active","pid":9,"restarts":0}`, "the relay is active", true},
		{"keeper failed", fleet.ServiceProcess, `{"active":"failed","restarts":3,"result":"exit-code","status":2}`, "the relay is failed, result exit-code, exit status 2, restarted 3 times by its keeper", false},
		{"keeper lies", fleet.ServiceProcess, `{"active":"\u001b[2Jx","pid":-1,"restarts":-5}`, "the relay is [2Jx", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := managerOf(fleet.Machine{Service: c.service}).parse(c.answer)
			if err != nil || u.String() != c.want || u.runs() != c.runs {
				t.Errorf("parse = %q, runs %t, %v; want %q, %t", u, u.runs(), err, c.want, c.runs)
			}
		})
	}
	for _, service := range []string{fleet.ServiceSystemd, fleet.ServiceLaunchd, fleet.ServiceProcess} {
		if u, err := managerOf(fleet.Machine{Service: service}).parse("no idea"); err == nil {
			t.Errorf("%s: parse of nonsense = %v, want an error", service, u)
		}
	}
}

func TestManagers_WithoutAServiceNothingIsInstalled(t *testing.T) {
	failed, gone := &exitError{code: 113}, &exitError{code: 127, absent: true}
	for service, want := range map[string][2]bool{
		fleet.ServiceSystemd: {false, false}, fleet.ServiceLaunchd: {true, false}, fleet.ServiceProcess: {false, true},
	} {
		man := managerOf(fleet.Machine{Service: service})
		if got := [2]bool{man.none(failed), man.none(gone)}; got != want {
			t.Errorf("%s: a failure and a missing command mean no service: %t, want %t", service, got, want)
		}
	}
}

func TestLaunchd_AnAccountIsReadOfItsDirectory(t *testing.T) {
	a, err := launchd{}.parseAccount("ann", "NFSHomeDirectory: /Users/ann\nPrimaryGroupID: 20\n")
	if err != nil || a.keysFile() != "/Users/ann/.ssh/authorized_keys" || a.gid != "20" || a.name != "ann" {
		t.Errorf("parseAccount = %+v, %v; want ann, her group and her home", a, err)
	}
}

func TestPlist_IsXMLAndThis(t *testing.T) {
	m, spec := droplet()
	m.Given, m.Service = true, fleet.ServiceLaunchd
	parts := SystemOf(spec, nil).Parts(m)
	golden(t, "launchd.golden", partsText(parts))
	for dec := xml.NewDecoder(strings.NewReader(parts[0].Files[0].Text)); ; {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the plist is no XML: %v", err)
		}
	}
}
