package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/relay"
)

func configCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print an example or the JSON Schema of the configuration",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use: "example", Short: "Print a configuration with every key", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.stdout, relay.Example())
			return err
		},
	}, &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := relay.Schema()
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(text)
			return err
		},
	})
	return c
}

func idCommand(a *app) *cobra.Command {
	var state string
	var create bool
	c := &cobra.Command{
		Use:   "id",
		Short: "Print the peer ID of a state directory",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			load := relay.LoadIdentity
			if create {
				load = relay.CreateIdentity
			}
			id, err := load(state)
			var explained *relay.HintError
			if errors.Is(err, relay.ErrNoIdentity) && !errors.As(err, &explained) {
				return &relay.HintError{Err: err, Hint: "make one with --init, or name another directory with --state"}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, id.ID)
			return err
		},
	}
	c.Flags().StringVar(&state, "state", relay.Default().State, "state directory")
	c.Flags().BoolVar(&create, "init", false, "make an identity if there is none")
	return c
}

func pingCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "ping MULTIADDR",
		Short: "Dial one address and measure a round trip",
		Args:  cobra.ExactArgs(1),
	}
	format := outputFlag(c)
	timeout := c.Flags().Duration("timeout", 10*time.Second, "how long to wait for the answer")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), *timeout)
		defer cancel()
		pong, err := relay.Ping(ctx, args[0], a.version)
		if *format == "json" {
			if err := a.printJSON(pong); err != nil {
				return err
			}
		} else if err == nil {
			if _, err := fmt.Fprintf(a.stdout, "%s %.3f ms\n", pong.PeerID, *pong.RTTms); err != nil {
				return err
			}
		}
		var explained *relay.HintError
		if err == nil || errors.As(err, &explained) || c.Context().Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return c
}

func versionCommand(a *app) *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs}
	format := outputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		v := relay.ThisProgram(a.version, a.revision)
		if *format == "json" {
			return a.printJSON(v)
		}
		_, err := fmt.Fprintf(a.stdout, "relay %s %s %s\n", v.Version, v.Revision, v.Go)
		return err
	}
	return c
}
