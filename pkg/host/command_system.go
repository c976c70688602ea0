package host

import (
	"bytes"
	"strconv"
	"strings"
	"time"

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

func removeTree(dir string) sshx.Command { return write("rm", "-rf", "--", dir) }

// absent reports whether a command could not be run because the box does not have it:
// the shell's word for it, or sudo's.
func absent(res sshx.Result) bool {
	if res.ExitCode == 127 {
		return true
	}
	said := bytes.TrimSpace(res.Stderr)
	return res.ExitCode == 1 && bytes.HasPrefix(said, []byte("sudo: ")) && strings.HasSuffix(string(said), "command not found")
}
