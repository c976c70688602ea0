package hosttest

import (
	"context"
	"io/fs"
	"sync/atomic"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Counter counts the writes that pass through a Runner, and can cut them off.
type Counter struct {
	sshx.Runner
	Writes *atomic.Int64
	// Cut is called with the number of each write before it is made; its error is
	// returned instead. Nil lets everything pass.
	Cut func(n int64) error
}

func (c *Counter) write() error {
	n := c.Writes.Add(1)
	if c.Cut == nil {
		return nil
	}
	return c.Cut(n)
}

// Run counts commands that are not read-only.
func (c *Counter) Run(ctx context.Context, at sshx.Target, cmd sshx.Command) (sshx.Result, error) {
	if !cmd.ReadOnly {
		if err := c.write(); err != nil {
			return sshx.Result{}, err
		}
	}
	return c.Runner.Run(ctx, at, cmd)
}

// WriteFile counts.
func (c *Counter) WriteFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Runner.WriteFile(ctx, at, path, data, mode)
}

// AppendFile counts.
func (c *Counter) AppendFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Runner.AppendFile(ctx, at, path, data, mode)
}

// Upload counts.
func (c *Counter) Upload(ctx context.Context, at sshx.Target, local, path, sha256 string, mode fs.FileMode) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Runner.Upload(ctx, at, local, path, sha256, mode)
}

// Remove counts.
func (c *Counter) Remove(ctx context.Context, at sshx.Target, path string) error {
	if err := c.write(); err != nil {
		return err
	}
	return c.Runner.Remove(ctx, at, path)
}
