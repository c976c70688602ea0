package box

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// ssh are the commands about host keys and sshd.
func (d *droplet) ssh() []boxsim.Command {
	return []boxsim.Command{
		{Argv: "/usr/sbin/sshd -t", Run: func(_ context.Context, c boxsim.Call) int {
			if _, err := readSSHD(d.jail); err != nil {
				_, _ = fmt.Fprintln(c.Stderr, err)
				return 255
			}
			return 0
		}},
		{Argv: "ssh-keygen -q -t ed25519 -N '' -f PATH", Run: boxsim.File("ssh-keygen", "PATH", d.makeKey)},
		{Argv: "ssh-keygen -q -t ed25519 -N '' -C '' -f PATH", Run: boxsim.File("ssh-keygen", "PATH", d.makeKey)},
		{Argv: "ssh-keygen -y -f PATH", Run: d.publicHalf},
	}
}

// errOverwrite is what comes of a question that nobody answers.
var errOverwrite = errors.New("already exists.\nOverwrite (y/n)?")

func (d *droplet) makeKey(c boxsim.Call) error {
	name := boxsim.Name(c.Args["PATH"])
	if _, err := d.jail.Lstat(name); err == nil {
		return errOverwrite
	}
	private, public, err := newKey("")
	if err != nil {
		return err
	}
	return errors.Join(d.disk().write(name, private, 0o600), d.disk().write(name+".pub", public+"\n", 0o644))
}

func (d *droplet) publicHalf(_ context.Context, c boxsim.Call) int {
	signer, err := readKey(d.jail, c.Args["PATH"])
	if err != nil {
		_, _ = fmt.Fprintf(c.Stderr, "Load key %q: %v\n", boxsim.Printable(c.Args["PATH"]), err)
		return 255
	}
	_, _ = fmt.Fprintln(c.Stdout, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))))
	return 0
}
