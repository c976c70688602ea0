package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/pkg/provider/local"
	zonelocal "github.com/relayfleet/fleetctl/pkg/zone/local"
)

// newSupervise is the process that plays the data centre of a local fleet. up starts it.
func newSupervise(a *app) *cobra.Command {
	var dir, zone, domain string
	cmd := &cobra.Command{
		Use:    "supervise",
		Short:  "Serve the boxes and the zone of a local fleet (up starts it)",
		Hidden: true,
		Args:   exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return fmt.Errorf("supervise: --dir is missing")
			}
			log := slog.New(slog.NewTextHandler(a.stderr, nil))
			config := local.SupervisorConfig{Dir: dir, Log: log}
			if zone != "" {
				config.Services = append(config.Services, zonelocal.NewServer(zone, domain, log))
			}
			return local.NewSupervisor(config).Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the fleet's state `directory`")
	cmd.Flags().StringVar(&zone, "zone", "", "the `directory` of the zone to serve, if any")
	cmd.Flags().StringVar(&domain, "domain", "", "the zone's `domain`")
	return cmd
}

// superviseCommand is the command line of a fleet's supervisor.
func (s *session) superviseCommand() []string {
	argv := []string{s.app.executable, "supervise", "--dir", s.dir.Path()}
	if s.spec.DNS.Zone == "local" {
		argv = append(argv, "--zone", s.zoneDir(), "--domain", s.spec.DNS.Domain)
	}
	return argv
}

// zoneDir is where a zone of ours keeps its files.
func (s *session) zoneDir() string { return s.dir.Join("zone") }
