// Package sshx runs commands on boxes, moves files and opens tunnels over SSH.
//
// It trusts pinned host keys only: a box without a pin is an error that names the
// pin file. Commands are argv; what reaches the far shell is quoted by a library.
// One connection per box is opened on first use and shared.
package sshx

import (
	"context"
	"io"
	"io/fs"
	"net"
	"time"
)

// Target is where a box answers, and how it is worked on.
type Target struct {
	Name string // for errors: the node's name
	// Addr is host:port; the host is an address or a DNS name, the port a number. Pins are found by exactly this text.
	Addr string
	User string
	// Sudo works as root: commands and files go through "sudo -n". A box whose sudo is missing or
	// wants a password is a SudoError.
	Sudo bool
	// KeyFile is a private key for this box, offered before those of the client; empty means none.
	KeyFile string
	// Jump is the host through which the box is reached; nil means directly. It is logged into like
	// any box, with its own pin, and may have a Jump of its own. Its Sudo means nothing.
	Jump *Target
}

// Command is one program on a box. Argv is never interpreted by a shell of ours.
type Command struct {
	Argv  []string
	Stdin []byte
	// MaxOutput bounds stdout and stderr, each, in bytes; zero means 1 MiB.
	// What is beyond is read and dropped, and Result.Truncated is set.
	MaxOutput int
	// Timeout bounds the command; zero means 30 s for Run and no bound for Stream.
	Timeout time.Duration
	// ReadOnly says that the command changes nothing on the box.
	ReadOnly bool
}

// Result of a command that ran. A command that ran and failed has an ExitCode and no
// error; an error means that it may not have run.
type Result struct {
	Stdout, Stderr []byte
	ExitCode       int
	Truncated      bool
}

// Runner runs commands and handles files on boxes. Paths are absolute on the box.
// Mutating methods: Run (unless Command.ReadOnly), WriteFile, Upload, AppendFile, Remove.
type Runner interface {
	Run(ctx context.Context, at Target, c Command) (Result, error)
	// Stream runs a command and copies its output as it comes, until it ends or ctx does.
	// It is meant for commands that read.
	Stream(ctx context.Context, at Target, c Command, stdout, stderr io.Writer) (exitCode int, err error)
	// ReadFile reads at most limit bytes; a longer file is ErrTooLarge, a missing one
	// fs.ErrNotExist, and a pipe or a directory ErrNotRegular.
	ReadFile(ctx context.Context, at Target, path string, limit int64) ([]byte, error)
	// WriteFile replaces a file: temporary name beside it, sync, rename. Missing parents are made 0755.
	WriteFile(ctx context.Context, at Target, path string, data []byte, mode fs.FileMode) error
	// AppendFile adds to the end of a file, making it with mode if it is missing.
	AppendFile(ctx context.Context, at Target, path string, data []byte, mode fs.FileMode) error
	// Upload copies a local file: temporary name, sync, digest checked on the far side
	// (sha256sum), then rename. A file already there with that digest is left alone.
	Upload(ctx context.Context, at Target, local, path string, sha256 string, mode fs.FileMode) error
	// Remove deletes one file; one that is gone is success.
	Remove(ctx context.Context, at Target, path string) error
}

// Tunnel opens connections from a box.
type Tunnel interface {
	// Dial connects to remote ("127.0.0.1:9847") as seen from the box.
	Dial(ctx context.Context, at Target, remote string) (net.Conn, error)
}
