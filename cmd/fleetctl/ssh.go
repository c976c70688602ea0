package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func newSSH(a *app) *cobra.Command {
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "ssh NODE [-- COMMAND...]",
		Short: "Log into a box with the system's ssh and the pinned host key",
		Long: `Log into a box with the system's ssh, the fleet's key and the pinned host key, through
its jump host if it has one. Nothing of ~/.ssh/config is read.

--print-config prints what ssh is given, for every box: with it in a file, 'ssh -F FILE
NODE' works, and so do scp, sftp, rsync and ansible.`,
		Example: `  fleetctl ssh nyc1-1
  fleetctl ssh nyc1-1 -- journalctl -u relay -f
  fleetctl ssh --print-config > ssh.conf && rsync -e 'ssh -F ssh.conf' nyc1-1:/var/log/syslog .`,
		Args: func(cmd *cobra.Command, args []string) error {
			if printConfig {
				return exactArgs()(cmd, args)
			}
			return exactArgs("NODE")(cmd, args[:min(len(args), 1)])
		},
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.read("ssh")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			if printConfig {
				if s.temporary != "" {
					err := errors.New("ssh: this computer keeps no host keys of the fleet that a configuration could name")
					return fleet.WithHint(err, "run 'fleetctl up' once, or write a file of your own with 'fleetctl hosts known-hosts'")
				}
				machines, err := s.selected(cmd.Context(), selection{})
				if err != nil {
					return err
				}
				text, err := s.sshConfig(machines)
				if err != nil {
					return err
				}
				return a.show(sshConfigView{Config: text})
			}
			m, err := s.machine(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := withheld(m); err != nil { // somebody looks at it, which may be what it needs
				a.say("fleetctl: warning: %s", render.Safe(aboutNode(m.Node, err).Error()))
			}
			text, err := s.sshConfig([]fleet.Machine{m})
			if err != nil {
				return err
			}
			return a.runSSH(cmd, text, append([]string{m.Node}, args[1:]...))
		},
	}
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the configuration for the system's ssh, and do not log in")
	return cmd
}

// sshConfigView is the configuration of the system's ssh.
type sshConfigView struct {
	Config string `json:"config"`
}

var _ render.TextView = sshConfigView{}

func (v sshConfigView) Table() render.Table {
	return render.Table{Columns: []render.Column{{Name: "config"}}, Rows: [][]any{{v.Config}}}
}

// Text is the file as it is: its words are checked where it is made.
func (v sshConfigView) Text(w io.Writer, _ render.Options) error {
	_, err := io.WriteString(w, v.Config)
	return err
}

// sshConfig is the configuration of the system's ssh for some boxes, by their nodes. The
// second machine of a node goes by its ID.
func (s *session) sshConfig(machines []fleet.Machine) (string, error) {
	pins, err := sshx.OpenPins(s.pinFile())
	if err != nil {
		return "", err
	}
	var boxes []sshx.Target
	named := make(map[string]bool)
	for _, m := range machines {
		at, err := host.Target(m)
		if err != nil {
			return "", ofNode(m.Node, fmt.Errorf("%s: %w", m.Node, err))
		}
		if at.Name = m.Node; named[m.Node] {
			at.Name = m.ID
		}
		named[m.Node] = true
		boxes = append(boxes, at)
	}
	keys := slices.DeleteFunc(slices.Clone(s.keyFiles), func(file string) bool {
		_, err := os.Stat(file)
		return err != nil
	})
	hosts, err := pins.SystemHosts(boxes, keys...)
	if err != nil {
		return "", err
	}
	return sshx.SystemConfig(hosts)
}

// pinFile is the file with the host keys that the session trusts.
func (s *session) pinFile() string {
	if s.temporary != "" {
		return filepath.Join(s.temporary, "known_hosts")
	}
	return s.dir.KnownHosts()
}

// runSSH hands the terminal to ssh with this configuration, and ends with its exit code.
func (a *app) runSSH(cmd *cobra.Command, config string, args []string) (err error) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return fleet.WithHint(fmt.Errorf("ssh: %w", err), "install OpenSSH's client, or use 'fleetctl exec'")
	}
	file, err := writeTemporary("fleetctl-ssh-*", config)
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	c := exec.CommandContext(cmd.Context(), program, append([]string{"-F", file}, args...)...) //nolint:gosec // a configuration of our own, and the operator's command
	c.Stdin, c.Stdout, c.Stderr = a.stdin, a.stdout, a.stderr
	err = c.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) && exited.ExitCode() >= 0 {
		return silently(exited.ExitCode())
	}
	return err
}

// writeTemporary writes a new file that nobody else may read, and returns its path.
func writeTemporary(pattern, text string) (string, error) {
	f, err := os.CreateTemp("", pattern) // 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
