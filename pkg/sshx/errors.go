package sshx

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The sentinels of this package; the structs below carry the facts.
var (
	// ErrNoPin means that no host key is pinned for an address. See NoPinError.
	ErrNoPin = errors.New("no pinned host key")
	// ErrHostKeyMismatch means that a box showed another key than the pinned one. See HostKeyMismatchError.
	ErrHostKeyMismatch = errors.New("host key is not the pinned one")
	// ErrAuth means that the box let none of our keys in, or that there is none. See AuthError.
	ErrAuth = errors.New("login refused")
	// ErrTransport means that the box could not be reached, or was lost: what was asked of it may
	// or may not have happened. See TransportError.
	ErrTransport = errors.New("connection lost or not made")
	// ErrNotRegular means that what is to be read is no file but a directory, a pipe or a
	// device, or a link to one.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge means that a file is longer than the limit of the read.
	ErrTooLarge = errors.New("file is larger than the limit")
	// ErrDigest means that what arrived is not what was sent. See DigestError.
	ErrDigest = errors.New("wrong digest")
	// ErrSudo means that a box does not let us work as root. See SudoError.
	ErrSudo = errors.New("no sudo without a password")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("ssh client closed")
)

// NoPinError says that nothing is known of a box's host key; nothing was sent to it.
type NoPinError struct {
	Node string // may be empty
	Addr string
	File string // the pin file
}

// Error names the address and the pin file.
func (e *NoPinError) Error() string {
	return fmt.Sprintf("%s: no host key is pinned in %s", subject(e.Node, e.Addr), e.File)
}

// Is makes it an ErrNoPin.
func (e *NoPinError) Is(target error) bool { return target == ErrNoPin }

// Hint says how a pin is made.
func (e *NoPinError) Hint() string {
	return fmt.Sprintf("add the host key of %s to %s after comparing its fingerprint with the one on the box's console", e.Addr, e.File)
}

// HostKeyMismatchError says that a box showed a key that is not pinned; nothing was sent to it.
type HostKeyMismatchError struct {
	Node string // may be empty
	Addr string
	File string   // the pin file
	Want []string // SHA256 fingerprints that are pinned
	Got  string   // SHA256 fingerprint that was shown
}

// Error names both fingerprints.
func (e *HostKeyMismatchError) Error() string {
	return fmt.Sprintf("%s: host key %s is not the pinned %s (%s)", subject(e.Node, e.Addr), e.Got, strings.Join(e.Want, " or "), e.File)
}

// Is makes it an ErrHostKeyMismatch.
func (e *HostKeyMismatchError) Is(target error) bool { return target == ErrHostKeyMismatch }

// Hint says what to do about it.
func (e *HostKeyMismatchError) Hint() string {
	return fmt.Sprintf("find out why the box at %s has another key; only if it was rebuilt on purpose, replace its line in %s", e.Addr, e.File)
}

// AuthError says why no login was possible.
type AuthError struct {
	Node, Addr, User string // empty when a key could not be read at all
	Err              error
	hint             string
}

// Error names the box and the user.
func (e *AuthError) Error() string {
	if e.Addr == "" {
		return fmt.Sprintf("ssh key: %v", e.Err)
	}
	return fmt.Sprintf("%s: login as %s: %v", subject(e.Node, e.Addr), e.User, e.Err)
}

// Is makes it an ErrAuth.
func (e *AuthError) Is(target error) bool { return target == ErrAuth }

// Unwrap returns the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *AuthError) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	return "check that the key is in authorized_keys on the box and that the user name is right"
}

// TransportError says which step towards a box failed. errors.Is finds
// context.Canceled and context.DeadlineExceeded in it where they are the cause.
type TransportError struct {
	Node string // may be empty
	Addr string
	Op   string // dial, handshake, scan, run, read, write, append, upload, remove, tunnel
	Err  error
}

// Error names the box and the step.
func (e *TransportError) Error() string {
	return fmt.Sprintf("%s: %s: %v", subject(e.Node, e.Addr), e.Op, e.Err)
}

// Is makes it an ErrTransport.
func (e *TransportError) Is(target error) bool { return target == ErrTransport }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Refused reports whether the box was reached, and said that nothing takes connections
// where a tunnel was to lead.
func (e *TransportError) Refused() bool {
	var jump *JumpError
	var refused *ssh.OpenChannelError
	return !errors.As(e.Err, &jump) && errors.As(e.Err, &refused) && refused.Reason == ssh.ConnectionFailed
}

// Unasked reports whether err kept a box from being asked for anything: there was no way to
// it, no login or no pin.
func Unasked(err error) bool {
	var way *TransportError
	return errors.Is(err, ErrNoPin) || errors.Is(err, ErrHostKeyMismatch) || errors.Is(err, ErrAuth) ||
		errors.As(err, &way) && (way.Op == "dial" || way.Op == "handshake")
}

// DigestError says that a box computed another digest of a file than it should have.
type DigestError struct {
	Node, Addr, Path string
	Want, Got        string // lower-case hex
}

// Error names both digests.
func (e *DigestError) Error() string {
	return fmt.Sprintf("%s: upload %s: sha256 on the box is %q, want %s", subject(e.Node, e.Addr), e.Path, e.Got, e.Want)
}

// Is makes it an ErrDigest.
func (e *DigestError) Is(target error) bool { return target == ErrDigest }

// Hint says what to do about it.
func (e *DigestError) Hint() string {
	return "run the command again; if it happens again, the local file was changed or the box's disk is damaged"
}

// subject is how errors name a box.
func subject(node, addr string) string {
	if node == "" {
		return addr
	}
	return node + " (" + addr + ")"
}
