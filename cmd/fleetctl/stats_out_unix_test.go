//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReplaceFile_WritesToAPipeAsItIs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(name, os.O_RDWR, 0) // so that nobody waits for the other end
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close() //nolint:errcheck // it goes with the directory
	if err := replaceFile(name, 0o666, func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Fatalf("the pipe is none any more: %v (%v)", info, err)
	}
	text := make([]byte, 3)
	if _, err := io.ReadFull(pipe, text); err != nil || string(text) != "new" {
		t.Errorf("got %q (%v), want new", text, err)
	}
}
