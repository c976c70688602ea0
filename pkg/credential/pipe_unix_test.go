//go:build unix

package credential_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/credential"
)

// To open a pipe waits for who writes to it: for ever, where nobody does.
func TestFrom_APipeIsNoFileAndIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := credential.From(fleet.SecretSpec{File: pipe}, nil, os.Getenv, func(p string) string { return p })(ctx)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a file") {
			t.Errorf("got %v, want that it is not a file", err)
		}
	case <-ctx.Done():
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // lets the reader go
		if err == nil {
			_ = f.Close()
		}
		t.Error("it still waits for somebody to write")
	}
}
