// Package box puts in-process machines behind the droplets of the simulated cloud.
//
// A machine is a directory as "/", a real SSH server on a loopback address of its own,
// 127.X.Y.Z, and a real relay process. It does with its user data what cloud-init does:
// users, keys, the host key and files come from exactly the text that was sent. It
// behaves like Debian with systemd in what fleetctl says to it, a fixed table of commands
// with one Go function each: units are read at daemon-reload, a relay that was killed
// comes back as its unit says, sshd shows the keys that its configuration names. What
// needs a kernel is not there: files have no owners, nothing is fenced in, and rules of
// nft are only read.
//
// The daemon's configuration on a machine speaks of /var/lib/relay, 127.0.0.1:9847 and
// the wildcard address; the process is started with a copy in which these are the
// machine's own. What fleetctl wrote stays as it is.
//
// Below the directory of a machine:
//
//	root/        "/" of the machine
//	relay.yaml   the configuration with which its relay runs
//	unit.json    its service: enabled, process, last result
//	relay.log    its journal
//
// Linux only: other systems have one loopback address.
package box
