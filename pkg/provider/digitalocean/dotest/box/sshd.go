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
	port  int
	files []string // of the host keys
	keys  []ssh.Signer
	depth int // of Include
}

// maxIncludes is how deep sshd follows Include.
const maxIncludes = 16

// sshdWords are the keywords that a configuration may have. Here Port, HostKey and Include have an effect.
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
	if err := s.read(jail, sshdConfig); err != nil {
		return sshd{}, err
	}
	if s.port == 0 {
		s.port = 22
	}
	if len(s.files) == 0 {
		s.files = []string{"/" + bootHostKey}
	}
	for _, file := range s.files {
		signer, err := readKey(jail, file)
		if err != nil {
			return sshd{}, err
		}
		s.keys = append(s.keys, signer)
	}
	return s, nil
}

// read reads one file of the configuration, and those that it includes.
func (s *sshd) read(jail *os.Root, file string) error {
	if s.depth++; s.depth > maxIncludes {
		return errors.New("too many recursive configuration includes")
	}
	defer func() { s.depth-- }()
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
		if err := s.set(jail, words); err != nil {
			return fmt.Errorf("/%s line %d: %w", file, n, err)
		}
	}
	return nil
}

// set reads one line.
func (s *sshd) set(jail *os.Root, words []string) error {
	key := strings.ToLower(words[0])
	switch {
	case !slices.Contains(sshdWords(), key):
		return fmt.Errorf("bad configuration option: %s", boxsim.Printable(words[0]))
	case len(words) == 1:
		return errors.New("missing argument")
	case key == "hostkey":
		s.files = append(s.files, words[1])
	case key == "port":
		port, err := strconv.ParseUint(words[1], 10, 16)
		if err != nil || port == 0 {
			return errors.New("badly formatted port number")
		}
		if s.port == 0 { // a machine listens on one
			s.port = int(port)
		}
	case key == "include":
		found, err := fs.Glob(jail.FS(), boxsim.Name(words[1]))
		for _, f := range found {
			err = errors.Join(err, s.read(jail, f))
		}
		return err
	}
	return nil
}

// readKey reads a private key that nobody else may read.
func readKey(jail *os.Root, file string) (ssh.Signer, error) {
	name := boxsim.Name(file)
	info, err := jail.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("unable to load host key: %s: %w", file, boxsim.Cause(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("permissions 0%o for %s are too open", info.Mode().Perm(), file)
	}
	text, err := jail.ReadFile(name)
	if err != nil {
		return nil, boxsim.Cause(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("unable to load host key: %s", file) // the error may hold the key
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
