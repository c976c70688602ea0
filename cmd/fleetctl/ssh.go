package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
)

func newSSH(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ssh NODE [-- COMMAND...]",
		Short: "Log into a box with the system's ssh and the pinned host key",
		Args: func(cmd *cobra.Command, args []string) error {
			return exactArgs("NODE")(cmd, args[:min(len(args), 1)])
		},
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.read("ssh")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			m, err := s.machine(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			argv, err := s.sshCommand(m)
			if err != nil {
				return err
			}
			return a.runSSH(cmd, append(argv, args[1:]...))
		},
	}
}

// sshCommand is the ssh command line for a box: our key, our pins, nothing of the user's own configuration.
func (s *session) sshCommand(m fleet.Machine) ([]string, error) {
	at, err := host.Target(m)
	if err != nil {
		return nil, err
	}
	name, port, err := net.SplitHostPort(at.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Node, err)
	}
	return []string{
		"ssh", "-F", "none",
		"-i", s.dir.SSHKey(), "-o", "IdentitiesOnly=yes",
		"-o", "UserKnownHostsFile=" + s.dir.KnownHosts(), "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes",
		"-p", port, at.User + "@" + name,
	}, nil
}

// runSSH hands the terminal to ssh and ends with its exit code.
func (a *app) runSSH(cmd *cobra.Command, argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return fleet.WithHint(fmt.Errorf("ssh: %w", err), "install OpenSSH's client, or use 'fleetctl exec'")
	}
	c := exec.CommandContext(cmd.Context(), program, argv[1:]...) //nolint:gosec // argv of our own, and the operator's command
	c.Stdin, c.Stdout, c.Stderr = a.stdin, a.stdout, a.stderr
	err = c.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) && exited.ExitCode() >= 0 {
		return silently(exited.ExitCode())
	}
	return err
}
