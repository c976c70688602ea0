package hosttest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// InjectedHostKey is the host key that a box in memory came with.
func InjectedHostKey() string { return madeHostKey(0) }

// madeHostKey is the n-th host key that is made on a box.
func madeHostKey(n int) string {
	key, err := sshx.DecodeHostKeyMark(fmt.Sprintf("%064x", n+1))
	if err != nil {
		panic(err) // any 64 digits are a key
	}
	return key
}

// fakeSystem is the part of a box that a Debian system plays. Its mutex is the box's.
type fakeSystem struct {
	users    map[string]string // lines of passwd, by name
	packages []string
	mirror   bool   // packages can be had
	loaded   string // the relay's unit as systemd has read it
	runs     string // the unit that the process was started with
	shown    string // by sshd to a new connection
	showed   string // on the connection that is open, "" if there is none
	made     int    // host keys, counted from one that no other box has
	effects  []string
	rules    string          // that nft has loaded
	others   map[string]bool // services of others that run
	listener string          // the service of others that answers at the API's port
}

// Debian gives the box a system of its own, as a provider delivers it: a user fleetctl,
// the host key of its order, no user relay. It returns the box.
func (b *FakeBox) Debian() *FakeBox {
	b.set(func() {
		b.sys = &fakeSystem{
			users: map[string]string{
				"root": "root:x:0:0:root:/root:/bin/bash", "fleetctl": "fleetctl:x:1000:1000::/home/fleetctl:/bin/bash",
			},
			packages: []string{"nftables", "unattended-upgrades"}, mirror: true, shown: InjectedHostKey(), others: make(map[string]bool),
			made: b.number << 16,
		}
		b.files["/etc/ssh/ssh_host_ed25519_key"] = []byte("private")
		b.files["/etc/ssh/ssh_host_ed25519_key.pub"] = []byte(InjectedHostKey() + "\n")
		b.files["/etc/ssh/sshd_config"] = []byte("Include /etc/ssh/sshd_config.d/*.conf\n")
		b.files["/proc/swaps"] = []byte("Filename\tType\tSize\tUsed\tPriority\n")
	})
	return b
}

// Injected sets the host key that came with the box's order, authorized_keys form.
func (b *FakeBox) Injected(hostKey string) {
	b.set(func() {
		b.sys.shown = hostKey
		b.files["/etc/ssh/ssh_host_ed25519_key.pub"] = []byte(hostKey + "\n")
	})
}

// Packages sets what is installed on the box, and whether more can be had.
func (b *FakeBox) Packages(mirror bool, names ...string) {
	b.set(func() { b.sys.packages, b.sys.mirror = names, mirror })
}

// Others starts a relay of others: a service that answers at the API's port.
func (b *FakeBox) Others(service string) {
	b.set(func() {
		b.sys.others[service], b.sys.listener = true, service
		b.files["/proc/77/cgroup"] = []byte("0::/system.slice/" + service + "\n")
	})
}

// Effects lists, once each and sorted, the commands that changed the box's system.
func (b *FakeBox) Effects() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(b.sys.effects)))
}

// RunsUnit is the service file with which the relay's process was started.
func (b *FakeBox) RunsUnit() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sys.runs
}

// Rules are what the box's firewall has loaded.
func (b *FakeBox) Rules() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sys.rules
}

// ShownHostKey is what sshd shows to a new connection.
func (b *FakeBox) ShownHostKey() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sys.shown
}

// File is the content of a file of the box, false if there is none.
func (b *FakeBox) File(name string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.files[b.resolve(name)]
	return string(data), ok
}

// PutFile writes a file of the box; nil removes it.
func (b *FakeBox) PutFile(name string, data []byte) {
	b.set(func() {
		if data == nil {
			delete(b.files, b.resolve(name))
			return
		}
		b.put(name, data)
	})
}

// HostKey is the host key of the connection to the box.
func (f *Fake) HostKey(ctx context.Context, at sshx.Target) (string, error) {
	b := f.Box(at.Addr)
	if err := b.reach(ctx); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sys == nil {
		return "", errors.New("this box has no SSH")
	}
	if b.sys.showed == "" {
		b.sys.showed = b.sys.shown
	}
	return b.sys.showed, nil
}

// Drop ends the connection to the box.
func (f *Fake) Drop(at sshx.Target) {
	b := f.Box(at.Addr)
	b.set(func() {
		if b.sys != nil {
			b.sys.showed = ""
		}
	})
}

// fit reports whether systemd can start the relay: it knows the unit, and its user.
func (s *fakeSystem) fit(b *FakeBox) bool {
	if s.loaded == "" {
		s.loaded = string(b.files[host.UnitFile]) // read on first use
	}
	if s.loaded == "" || s.users[host.User] == "" || s.listener != "" {
		return false
	}
	s.runs = s.loaded
	return true
}

// move renames a link or a file, replacing what is there.
func (b *FakeBox) move(from, to string) (string, int) {
	if target, ok := b.links[from]; ok {
		b.links[to] = target
		delete(b.links, from)
		return "", 0
	}
	data, ok := b.files[from]
	if !ok {
		return "mv: cannot stat '" + from + "': No such file or directory\n", 1
	}
	b.files[to] = data
	delete(b.files, from)
	return "", 0
}

// systemCommand is the table of a box with a system of its own.
func (b *FakeBox) systemCommand(argv []string) (string, int) {
	s, last, line := b.sys, argv[len(argv)-1], strings.Join(argv, " ")
	has := func(prefix string) bool { return strings.HasPrefix(line, prefix) }
	switch {
	case has("getent passwd "):
		if s.users[last] == "" {
			return "", 2
		}
		return s.users[last] + "\n", 0
	case has("/usr/sbin/useradd "):
		s.users[last] = last + ":x:999:999::/var/lib/relay:/usr/sbin/nologin"
	case has("dpkg-query "):
		return b.installedPackages(argv[4:])
	case has("env DEBIAN_FRONTEND=noninteractive apt-get "):
		return b.aptGet(argv)
	case has("df -Pk "):
		return "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 25000000 1000000 24000000 4% /\n", 0
	case has("timedatectl show "):
		return "CanNTP=yes\nNTP=yes\nNTPSynchronized=yes\n", 0
	case has("cloud-init status "):
		return `{"status": "done", "errors": []}` + "\n", 0
	case has("ss "):
		if s.listener == "" {
			return "", 0
		}
		return `LISTEN 0 4096 127.0.0.1:9847 0.0.0.0:* users:(("old",pid=77,fd=9))` + "\n", 0
	case has("systemctl show -p MainPID "):
		return "77\n", 0
	case has("ssh-keygen "):
		return b.sshKeygen(argv)
	case has("/usr/sbin/swapoff "):
		b.files["/proc/swaps"] = []byte("Filename\tType\tSize\tUsed\tPriority\n")
	case has("systemctl stop "):
		delete(s.others, last)
		if s.listener == last {
			s.listener = ""
		}
	case line == "systemctl reload-or-restart "+host.FirewallUnit:
		s.rules = string(b.files[host.FirewallRules])
	case line == "systemctl daemon-reload":
		s.loaded = string(b.files[host.UnitFile])
	case line == "systemctl reload ssh.service":
		b.reloadSSH()
	case slices.Contains([]string{"install", "chown", "chmod", "/usr/sbin/runuser", "systemctl", "timedatectl", "/usr/sbin/nft", "/usr/sbin/sshd", "/usr/sbin/sysctl"}, argv[0]):
	default:
		return argv[0] + ": not found: this box answers a fixed table of commands\n", 127
	}
	s.effects = append(s.effects, line)
	return "", 0
}

// installedPackages says nothing of what is not installed: its exit status does not count.
func (b *FakeBox) installedPackages(names []string) (string, int) {
	var out strings.Builder
	for _, name := range names {
		if slices.Contains(b.sys.packages, name) {
			out.WriteString(name + " installed\n")
		}
	}
	return out.String(), 0
}

func (b *FakeBox) aptGet(argv []string) (string, int) {
	if !b.sys.mirror {
		return "E: Unable to locate package\n", 100
	}
	if i := slices.Index(argv, "install"); i > 0 {
		b.sys.packages = append(b.sys.packages, argv[i+2:]...)
	}
	return "", 0
}

func (b *FakeBox) sshKeygen(argv []string) (string, int) {
	file := argv[len(argv)-1]
	if argv[1] == "-y" {
		public, ok := strings.CutPrefix(string(b.files[file]), "private half of ")
		if !ok {
			return file + ": No such file or directory\n", 255
		}
		return public + " \n", 0
	}
	if _, there := b.files[file]; there {
		return file + " already exists.\n", 1
	}
	b.sys.made++
	key := madeHostKey(b.sys.made)
	b.files[file], b.files[file+".pub"] = []byte("private half of "+key), []byte(key+"\n")
	return "", 0
}

// reloadSSH makes sshd read its configuration again.
func (b *FakeBox) reloadSSH() {
	b.sys.shown = InjectedHostKey()
	for name, data := range b.files {
		if path.Dir(name) != "/etc/ssh/sshd_config.d" {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if file, ok := strings.CutPrefix(strings.TrimSpace(line), "HostKey "); ok {
				b.sys.shown, _ = strings.CutPrefix(string(b.files[file]), "private half of ")
			}
		}
	}
}

// keep is the relay's own keeper, which is there when a release is.
func (b *FakeBox) keep(argv []string) (string, int) {
	if b.files[b.resolve(host.Binary)] == nil || len(argv) < 3 || argv[1] != "keep" {
		return argv[0] + ": not found\n", 127
	}
	switch argv[2] {
	case "start":
		if b.pid == 0 {
			b.launch()
		}
	case "stop":
		b.pid, b.state = 0, "inactive"
	case "status":
		return fmt.Sprintf(`{"active":%q,"pid":%d,"restarts":0}`+"\n", b.state, b.pid), 0
	}
	return "", 0
}
