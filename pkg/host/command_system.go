package host

import (
	"bytes"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// What is said to a box with a system of its own, beside the commands of its parts.

// ourPackages are the packages that parts need, and the ones that keep the time.
var ourPackages = []string{"nftables", "unattended-upgrades", "systemd-timesyncd", "chrony", "ntpsec"}

// installTime bounds each of apt's two commands. A first boot may hold its lock; the relay
// must still come up within its deadline.
const installTime = 90 * time.Second

func readPackages() sshx.Command {
	return read(append([]string{"dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"}, ourPackages...)...)
}

func readClock() sshx.Command {
	return read("timedatectl", "show", "-p", "CanNTP", "-p", "NTP", "-p", "NTPSynchronized")
}

func keepTime() sshx.Command { return write("timedatectl", "set-ntp", "true") }
func swapOff() sshx.Command  { return write("/usr/sbin/swapoff", "-a") }

func apt(words ...string) sshx.Command {
	argv := []string{
		"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=60",
		"-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15",
	}
	c := write(append(argv, words...)...)
	c.Timeout = installTime
	return c
}

func refreshPackages() sshx.Command { return apt("update") }

func installPackages(names []string) sshx.Command {
	return apt(append([]string{"install", "--no-install-recommends"}, names...)...)
}

func readAccount(user string) sshx.Command { return read("getent", "passwd", user) }

func addUser(home string) sshx.Command {
	return write("/usr/sbin/useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home,
		"--shell", "/usr/sbin/nologin", User)
}

// makeOwned makes a directory, or sets owner and mode of the one that is there.
func makeOwned(dir, owner, group, mode string) sshx.Command {
	return write("install", "-d", "-o", owner, "-g", group, "-m", mode, dir)
}

func chown(owner, path string) sshx.Command { return write("chown", owner, path) }
func rename(from, to string) sshx.Command   { return write("mv", "-T", from, to) }

func freeSpace(dir string) sshx.Command { return read("df", "-Pk", dir) }

func makeHostKey(file string) sshx.Command {
	return write("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file)
}

func publicHalf(file string) sshx.Command { return read("ssh-keygen", "-y", "-f", file) }
func listHostKeys() sshx.Command          { return read("ls", "-1", "/etc/ssh") }

func cloudInit() sshx.Command {
	c := read("cloud-init", "status", "--wait", "--format", "json")
	c.Timeout = cloudInitTime
	return c
}

func tailOf(file string, lines int) sshx.Command {
	return read("tail", "-n", strconv.Itoa(lines), file)
}

func removeTree(dir string) sshx.Command  { return write("rm", "-rf", "--", dir) }
func removeEmpty(dir string) sshx.Command { return write("rmdir", dir) }

// absent reports whether c could not be run because the box does not have it: the shell's
// word for it, or sudo's last one, in whatever language the box speaks.
func absent(c sshx.Command, res sshx.Result) bool {
	if res.ExitCode == 127 {
		return true
	}
	said := bytes.TrimSpace(res.Stderr)
	said = said[bytes.LastIndexByte(said, '\n')+1:]
	return res.ExitCode == 1 && bytes.HasPrefix(said, []byte("sudo: "+c.Argv[0]+": "))
}

// Commands lists everything that is said to m because it has a system of its own, beside
// what is said to every box: once each, with an example where an argument differs. A box
// that plays Debian answers these.
func (s *System) Commands(m fleet.Machine) []sshx.Command {
	const key = HostKeyFile + ".fleetctl-next"
	a := account{name: m.User, gid: "1000", home: "/home/" + m.User}
	next := a.keysFile() + ".fleetctl-next"
	out := []sshx.Command{
		cloudInit(), tailOf(cloudInitLog, tailLines),
		publicHalf(HostKeyFile), makeHostKey(key), rename(key+".pub", HostKeyFile+".pub"), rename(key, HostKeyFile),
		checkSSHD(), reloadSSHD(), listHostKeys(),
		readAccount(m.User), readPackages(), readClock(), refreshPackages(), installPackages(ourPackages[:2]), keepTime(), swapOff(),
		addUser(StateDir), makeOwned("/etc/relay", "root", User, "2750"), makeOwned(stateOf(m), User, User, "0700"),
		makeOwned(a.home+"/.ssh", a.name, a.gid, "0700"), chown(a.name+":"+a.gid, next), rename(next, a.keysFile()),
		freeSpace(ReleaseDir("SHA256")), daemonReload(),
		listeners(), mainProcess("old.service"), controlOther("disable", "old.service"), controlOther("stop", "old.service"),
		giveTree(stateOf(m)), chmod("0700", stateOf(m)), asRelay(chmod("0600", own(m, keyFile))), journalOf("old.service", tailLines, false),
		removeTree(Releases), removeEmpty("/etc/relay"), removeEmpty(Base),
	}
	for _, p := range s.Parts(m) {
		out = append(out, p.Apply...)
	}
	return out
}
