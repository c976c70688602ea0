package host

import (
	"path"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// What is said to a box, one function for each command. A local box answers exactly
// these; testdata/commands.golden lists them.

// How long commands may take, and how much they may say.
const (
	quick      = 15 * time.Second
	service    = 2 * time.Minute // systemd waits for the old process to stop: 90 s by default
	pingTime   = 30 * time.Second
	textOutput = 64 << 10
)

func read(argv ...string) sshx.Command {
	return sshx.Command{Argv: argv, Timeout: quick, MaxOutput: textOutput, ReadOnly: true}
}

func write(argv ...string) sshx.Command {
	return sshx.Command{Argv: argv, Timeout: quick, MaxOutput: textOutput}
}

func uname() sshx.Command { return read("uname", "-s", "-m") }

func digest(file string) sshx.Command {
	c := read("sha256sum", file)
	c.Timeout = time.Minute // of hundreds of megabytes, on a small disk
	return c
}

func readCurrent() sshx.Command         { return read("readlink", Current) }
func listReleases() sshx.Command        { return read("ls", "-1t", Releases) }
func listState(dir string) sshx.Command { return read("ls", "-1t", dir) }
func makeDir(dir string) sshx.Command   { return write("mkdir", "-p", dir) }

// linkRelease makes the link that is then renamed over Current: a reader sees the old
// release or the new one, never none.
func linkRelease(sha256 string) sshx.Command {
	return write("ln", "-sfn", path.Join(path.Base(Releases), sha256), Current+".next")
}

func removeRelease(sha256 string) sshx.Command {
	return write("rm", "-r", "--", ReleaseDir(sha256))
}

func showUnit() sshx.Command {
	return read("systemctl", "show", "-p", "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus", Unit)
}

func control(verb string) sshx.Command {
	c := write("systemctl", verb, Unit)
	c.Timeout = service
	return c
}

func daemonReload() sshx.Command {
	c := write("systemctl", "daemon-reload")
	c.Timeout = service
	return c
}

func checkSSHD() sshx.Command  { return write("/usr/sbin/sshd", "-t") }
func reloadSSHD() sshx.Command { return write("systemctl", "reload", "ssh.service") }

func journal(lines int, follow bool) sshx.Command { return journalOf(Unit, lines, follow) }

func journalOf(unit string, lines int, follow bool) sshx.Command {
	argv := []string{"journalctl", "-u", unit, "-n", strconv.Itoa(lines), "--no-pager", "-o", "short-iso"}
	if follow {
		argv = append(argv, "-f")
	}
	return read(argv...)
}

func ping(a dnsaddr.Addr) sshx.Command {
	c := read(Binary, "ping", a.String(), "-o", "json")
	c.Timeout = pingTime
	return c
}
