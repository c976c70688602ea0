package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

// keepStatus is what is known of a kept relay, in the words of systemd.
type keepStatus struct {
	Active   string `json:"active"`   // "active", "inactive", "failed", "activating"
	PID      int    `json:"pid"`      // of the relay, 0 while none runs
	Restarts int    `json:"restarts"` // since start
	Result   string `json:"result"`   // how the relay ended last: "success", "exit-code", "signal"
	Status   int    `json:"status"`   // the exit code or the signal's number
}

// keepFlags are those of every command below keep.
type keepFlags struct {
	dir     string // absolute
	config  string // absolute
	program string // that runs as `PROGRAM run --config FILE`
}

// keepCommand keeps a relay running where no service manager does, as in containers.
func keepCommand(a *app) *cobra.Command {
	var f keepFlags
	keep := &cobra.Command{
		Use:   "keep",
		Short: "Keep a relay running where there is no service manager",
		Long: `Keep a relay running where there is no service manager, as in a container: a keeper
process runs 'relay run --config FILE' and starts it again whenever it ends, after 1 s at
first and after 60 s at most. It never gives up. What the relay says is in DIR/relay.log,
and in DIR/relay.log.1 what it said before the last 10 MB.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	sub := func(use, short string, config, hidden bool, do func(ctx context.Context, f keepFlags) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, Hidden: hidden}
		c.Flags().StringVar(&f.dir, "dir", "", "directory of the keeper's own files")
		_ = c.MarkFlagRequired("dir")
		if config {
			c.Flags().StringVar(&f.config, "config", "", "configuration file of the relay")
			_ = c.MarkFlagRequired("config")
			c.Flags().StringVar(&f.program, "program", "", "the relay's program, by default this one")
			_ = c.Flags().MarkHidden("program")
		}
		c.RunE = func(c *cobra.Command, _ []string) error {
			f, err := f.absolute()
			if err != nil {
				return err
			}
			return do(c.Context(), f)
		}
		return c
	}
	status := sub("status --dir DIR", "Say whether the relay runs", false, false, nil)
	format := outputFlag(status)
	status.RunE = func(*cobra.Command, []string) error {
		f, err := f.absolute()
		if err != nil {
			return err
		}
		s, err := keptStatus(f)
		if err != nil {
			return err
		}
		if *format == "json" {
			return a.printJSON(s)
		}
		_, err = fmt.Fprintf(a.stdout, "%s pid %d restarts %d last %s %d\n", s.Active, s.PID, s.Restarts, s.Result, s.Status)
		return err
	}
	keep.AddCommand(
		sub("start --config FILE --dir DIR", "Start the keeper and its relay, unless they run", true, false, keepStart),
		sub("stop --dir DIR", "Stop the relay and its keeper", false, false, keepStop),
		sub("restart --config FILE --dir DIR", "Stop and start", true, false, func(ctx context.Context, f keepFlags) error {
			if err := keepStop(ctx, f); err != nil {
				return err
			}
			return keepStart(ctx, f)
		}),
		status,
		sub("watch --config FILE --dir DIR", "Be the keeper", true, true, keepWatch),
	)
	return keep
}

func (f keepFlags) absolute() (keepFlags, error) {
	var err error
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return f, err
	}
	if f.config != "" {
		f.config, err = filepath.Abs(f.config)
	}
	return f, err
}
