package sshx

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"github.com/relayfleet/fleetctl/fleet"
)

// fullDisk is an SFTP server whose writes fail, as OpenSSH's do: with "Failure".
type fullDisk struct{ disk sftp.StatVFS }

func (fullDisk) Filewrite(*sftp.Request) (io.WriterAt, error) { return fullDisk{}, nil }
func (fullDisk) WriteAt([]byte, int64) (int, error)           { return 0, errors.New("ENOSPC") }
func (fullDisk) Filecmd(*sftp.Request) error                  { return nil }
func (d fullDisk) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	return &d.disk, nil
}

func (d fullDisk) client(t *testing.T) *sftp.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	handlers := sftp.InMemHandler()
	handlers.FilePut, handlers.FileCmd = d, d
	server := sftp.NewRequestServer(theirs, handlers)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	fc, err := sftp.NewClientPipe(ours, ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = fc.Close()
		_ = theirs.Close()
		<-served
	})
	return fc
}

func TestWriteTemporary_SaysThatTheDiskIsFullAndNothingElseIs(t *testing.T) {
	room := sftp.StatVFS{Frsize: 4096, Bavail: 1 << 20, Files: 1000, Favail: 500}
	noBlocks, noFiles, uncounted := room, room, room
	noBlocks.Bavail = 1
	noFiles.Favail = 0
	uncounted.Files, uncounted.Favail = 0, 0 // of file systems that do not count files
	for name, c := range map[string]struct {
		disk sftp.StatVFS
		full bool
	}{
		"no blocks": {noBlocks, true}, "no files": {noFiles, true}, "room": {room, false}, "files are not counted": {uncounted, false},
	} {
		t.Run(name, func(t *testing.T) {
			fc := fullDisk{c.disk}.client(t)
			_, err := writeTemporary(t.Context(), fc, "/etc/relay/relay.yaml", strings.NewReader("text"), os.FileMode(0o644))
			if err == nil || errors.Is(err, ErrNoSpace) != c.full {
				t.Fatalf("writeTemporary = %v, want a failure, of space: %t", err, c.full)
			}
			var said *sftp.StatusError
			if !errors.As(err, &said) {
				t.Errorf("writeTemporary = %v, which hides what the box said", err)
			}
			if c.full && (!strings.Contains(err.Error(), "no space left in /etc/relay") || fleet.Hint(err) == "") {
				t.Errorf("writeTemporary = %q, hint %q; want the directory, and what to do", err, fleet.Hint(err))
			}
		})
	}
}
