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

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

const (
	sshdConfig  = "etc/ssh/sshd_config"
	bootHostKey = "etc/ssh/ssh_host_ed25519_key"
)

// sshdFile is Debian's, as far as it matters.
const sshdFile = `Include /etc/ssh/sshd_config.d/*.conf
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
`

// sshd is what an SSH server reads when it starts or is reloaded.
type sshd struct {
	port int
	keys []ssh.Signer
}

// sshdWords are the keywords that a configuration may have. Here Port and HostKey have an effect.
func sshdWords() []string {
	return []string{
		"acceptenv", "allowgroups", "allowtcpforwarding", "allowusers", "authenticationmethods", "authorizedkeysfile",
		"ciphers", "clientaliveinterval", "clientalivecountmax", "denyusers", "hostkey", "hostkeyalgorithms", "include",
		"kbdinteractiveauthentication", "kexalgorithms", "listenaddress", "logingracetime", "loglevel", "macs",
		"maxauthtries", "maxsessions", "maxstartups", "passwordauthentication", "permitemptypasswords",
		"permitrootlogin", "permittunnel", "port", "printmotd", "pubkeyauthentication", "strictmodes", "subsystem",
		"syslogfacility", "tcpkeepalive", "usedns", "usepam", "x11forwarding",
	}
}

// readSSHD is sshd -t: it reads the configuration and the host keys, and refuses what
// sshd would refuse.
func readSSHD(jail *os.Root) (sshd, error) {
	s := sshd{}
	var keys []string
	var read func(file string) error
	read = func(file string) error {
		text, err := jail.ReadFile(file)
		if err != nil {
			return fmt.Errorf("/%s: %w", file, boxsim.Cause(err))
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			words := strings.Fields(line)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			key := strings.ToLower(words[0])
			switch {
			case !slices.Contains(sshdWords(), key):
				return fmt.Errorf("/%s line %d: Bad configuration option: %s", file, n, boxsim.Printable(words[0]))
			case len(words) == 1:
				return fmt.Errorf("/%s line %d: missing argument", file, n)
			case key == "hostkey":
				keys = append(keys, words[1])
			case key == "port":
				port, err := strconv.ParseUint(words[1], 10, 16)
				if err != nil || port == 0 {
					return fmt.Errorf("/%s line %d: Badly formatted port number.", file, n)
				}
				if s.port == 0 { // a machine listens on one
					s.port = int(port)
				}
			case key == "include":
				found, err := fs.Glob(jail.FS(), boxsim.Name(words[1]))
				if err != nil {
					return fmt.Errorf("/%s line %d: %w", file, n, err)
				}
				for _, f := range found {
					if err := read(f); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	if err := read(sshdConfig); err != nil {
		return sshd{}, err
	}
	if s.port == 0 {
		s.port = 22
	}
	if len(keys) == 0 {
		keys = []string{"/" + bootHostKey}
	}
	for _, k := range keys {
		signer, err := readKey(jail, k)
		if err != nil {
			return sshd{}, err
		}
		s.keys = append(s.keys, signer)
	}
	return s, nil
}

// readKey reads a private key that nobody else may read.
func readKey(jail *os.Root, file string) (ssh.Signer, error) {
	name := boxsim.Name(file)
	info, err := jail.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("Unable to load host key: %s: %w", file, boxsim.Cause(err)) //nolint:staticcheck // sshd's own words
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("Permissions 0%o for '%s' are too open.", info.Mode().Perm(), file) //nolint:staticcheck,revive // sshd's own words
	}
	text, err := jail.ReadFile(name)
	if err != nil {
		return nil, boxsim.Cause(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("Unable to load host key: %s", file) //nolint:staticcheck // sshd's own words; the error may hold the key
	}
	return signer, nil
}

// errMoved is the answer to a reload with another port.
var errMoved = errors.New("the port of SSH changes at the next boot of this machine")

// reloadSSHD makes the SSH server show the host keys that its configuration names now.
func (d *droplet) reloadSSHD() error {
	s, err := readSSHD(d.jail)
	if err != nil {
		return err
	}
	d.server.SetHostKeys(s.keys...)
	if s.port != d.port {
		return errMoved
	}
	return nil
}

// authorizedKeys is the file of a user, below "/".
func authorizedKeys(user string) string {
	return path.Join(boxsim.Name(home(user)), ".ssh/authorized_keys")
}

// home is a user's home directory.
func home(user string) string {
	if user == "root" {
		return "/root"
	}
	return "/home/" + user
}
