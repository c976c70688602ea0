package host

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// launchd is the manager of macOS.
type launchd struct{}

const (
	launchdLabel = "com.github.relayfleet.relay"
	launchdFile  = "/Library/LaunchDaemons/" + launchdLabel + ".plist"
	launchdLog   = "/var/log/relay.log"
	launchdName  = "system/" + launchdLabel
)

func launchctl(words ...string) sshx.Command {
	c := write(append([]string{"launchctl"}, words...)...)
	c.Timeout = service
	return c
}

// control loads the service to start it and unloads it to stop it: launchd starts again
// what is loaded, and reads the file only when it loads it.
func (launchd) control(verb string) []sshx.Command {
	out, in := launchctl("bootout", launchdName), launchctl("bootstrap", "system", launchdFile)
	switch verb {
	case "enable", "disable":
		return []sshx.Command{launchctl(verb, launchdName)}
	case "start", "restart":
		return []sshx.Command{out, in}
	case "stop":
		return []sshx.Command{out}
	}
	return nil
}

// forgives: what is not loaded cannot be unloaded.
func (launchd) forgives(c sshx.Command) bool { return c.Argv[1] == "bootout" }
func (launchd) reload() []sshx.Command       { return nil }
func (launchd) show() sshx.Command           { return read("launchctl", "print", launchdName) }

// none: launchctl knows no service that is not loaded.
func (launchd) none(e *exitError) bool { return !e.absent }

// parse reads the answer of launchctl print.
func (launchd) parse(answer string) (unit, error) {
	said := values(answer, " = ")
	u := unit{Name: launchdLabel, By: "launchd", PID: count(said["pid"]), Status: count(said["last exit code"])}
	u.Restarts = max(count(said["runs"])-1, 0)
	switch state := said["state"]; {
	case state == "running":
		u.Active = "active"
	case state == "":
		return unit{}, fmt.Errorf("launchctl print: the box does not say the state: %q", clean(answer, 200))
	case strings.HasPrefix(state, "spawn"), state == "xpcproxy":
		u.Active, u.Sub = "activating", clean(state, 40) // on its way, or to be started again
	case u.Status != 0:
		u.Active, u.Sub, u.Result = "failed", clean(state, 40), "exit-code"
	default:
		u.Active, u.Sub = "inactive", clean(state, 40)
	}
	return u, nil
}

func (launchd) journal(lines int, follow bool) sshx.Command {
	return logTail(launchdLog, lines, follow)
}

func (launchd) rename(from, to string) sshx.Command { return write("mv", "-f", "-h", from, to) }

func (launchd) account(user string) sshx.Command {
	return read("dscl", ".", "-read", "/Users/"+user, "NFSHomeDirectory", "PrimaryGroupID")
}

func (launchd) parseAccount(user, answer string) (account, error) {
	said := values(answer, ":")
	return parseAccount(strings.Join([]string{user, "", "", said["PrimaryGroupID"], "", said["NFSHomeDirectory"], ""}, ":"))
}

// plist is the service as launchd reads it. It runs as root: macOS has no users that are
// made by one command.
func (s *System) plist() Part {
	l := s.relay.Limits
	files := ""
	if l.OpenFiles > 0 {
		dict := fmt.Sprintf("<dict><key>NumberOfFiles</key><integer>%d</integer></dict>\n", l.OpenFiles)
		files = "\t<key>SoftResourceLimits</key>" + dict + "\t<key>HardResourceLimits</key>" + dict
	}
	var argv strings.Builder
	for _, word := range []string{Binary, "run", "--config", ConfigFile} {
		argv.WriteString("<string>")
		_ = xml.EscapeText(&argv, []byte(word)) // a strings.Builder takes everything
		argv.WriteString("</string>")
	}
	text := xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ` + writtenBy + ` What is changed here is overwritten. -->
<plist version="1.0"><dict>
	<key>Label</key><string>` + launchdLabel + `</string>
	<key>ProgramArguments</key><array>` + argv.String() + `</array>
	<key>RunAtLoad</key><true/>
	<key>KeepAlive</key><true/>
	<key>ThrottleInterval</key><integer>10</integer>
	<key>Umask</key><integer>63</integer>
` + files + `	<key>StandardOutPath</key><string>` + launchdLog + `</string>
	<key>StandardErrorPath</key><string>` + launchdLog + `</string>
</dict></plist>
`
	return Part{
		Name: PartUnit, Says: fmt.Sprintf("started by launchd, at most %d files", l.OpenFiles), Fix: fleet.FixRestart,
		Files: []File{{launchdFile, 0o644, text}},
	}
}
