package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// disk is a machine's "/": a small Debian without programs.
type disk struct{ jail *os.Root }

const (
	passwdFile   = "etc/passwd"
	packagesFile = "var/lib/dpkg/status"
)

// debian are the files of a machine before its first boot.
func debian() map[string]string {
	return map[string]string{ // #nosec G101 -- users without passwords
		passwdFile: "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		packagesFile: "Package: openssh-server\nStatus: install ok installed\n\n" +
			"Package: systemd-timesyncd\nStatus: install ok installed\n\n",
		sshdConfig:   sshdFile,
		"etc/fstab":  "# /etc/fstab: static file system information\nPARTUUID=simulated / ext4 rw,discard,errors=remount-ro 0 1\n",
		"proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
	}
}

// debianDirs are the directories that must be there without a file.
func debianDirs() []string {
	return []string{
		"etc/ssh/sshd_config.d", unitDir, "etc/systemd/journald.conf.d", "etc/sysctl.d", "etc/apt/apt.conf.d",
		"var/lib", "var/log", "opt", "root", "home", "tmp", "run",
	}
}

// format makes the files of a machine before its first boot.
func (d disk) format() error {
	var errs []error
	for _, dir := range debianDirs() {
		errs = append(errs, d.jail.MkdirAll(dir, 0o755))
	}
	for name, text := range debian() {
		errs = append(errs, d.write(name, text, 0o644))
	}
	return errors.Join(errs...)
}

// write makes or replaces a file, and the directories that lead to it.
func (d disk) write(name, text string, mode fs.FileMode) error {
	if err := d.jail.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := d.jail.WriteFile(name, []byte(text), mode); err != nil {
		return err
	}
	return d.jail.Chmod(name, mode)
}

// user returns the line of a user in /etc/passwd.
func (d disk) user(name string) (string, bool) {
	text, err := d.jail.ReadFile(passwdFile)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

func (d disk) hasUser(name string) bool {
	_, ok := d.user(name)
	return ok
}

// addUser adds a user with the next number from first on.
func (d disk) addUser(name, homeDir, shell string, first int) error {
	text, err := d.jail.ReadFile(passwdFile)
	if err != nil {
		return boxsim.Cause(err)
	}
	id := first
	for strings.Contains(string(text), fmt.Sprintf(":x:%d:", id)) {
		id++
	}
	line := fmt.Sprintf("%s:x:%d:%d::%s:%s\n", name, id, id, homeDir, shell)
	return d.write(passwdFile, string(text)+line, 0o644)
}

// owner is an error if an owner, "user" or "user:group", is not there. Files have none
// here; a group is named like its user.
func (d disk) owner(owner string) error {
	for name := range strings.SplitSeq(owner, ":") {
		if _, err := strconv.ParseUint(name, 10, 32); err == nil {
			continue // a number need not have a name
		}
		if !d.hasUser(name) {
			return fmt.Errorf("invalid user: %q", boxsim.Printable(owner))
		}
	}
	return nil
}

// packages lists what is installed.
func (d disk) packages() []string {
	text, err := d.jail.ReadFile(packagesFile)
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "Package: "); ok {
			out = append(out, strings.TrimSpace(name))
		}
	}
	return out
}

// install notes packages as installed.
func (d disk) install(names []string) error {
	text, err := d.jail.ReadFile(packagesFile)
	if err != nil {
		return boxsim.Cause(err)
	}
	has := d.packages()
	for _, name := range names {
		if !slices.Contains(has, name) {
			text = append(text, "Package: "+name+"\nStatus: install ok installed\n\n"...)
		}
	}
	return d.write(packagesFile, string(text), 0o644)
}
