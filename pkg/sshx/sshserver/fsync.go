package sshserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/ssh"
)

// The SFTP packet types that the filter looks at.
const (
	fxpVersion  = 2
	fxpFsetstat = 10
	fxpExtended = 200
)

const (
	fsyncName = "fsync@openssh.com"
	maxPacket = 256 << 10 // as OpenSSH
)

var errPacketSize = errors.New("sftp packet too large")

// syncFilter adds fsync@openssh.com to a pkg/sftp server, which lacks it: it is offered
// in the version packet, and a request for it becomes "set no attribute on this handle",
// which jail.setstat takes for a sync.
type syncFilter struct {
	ch      io.ReadWriteCloser
	in      *bufio.Reader
	pending []byte // read, not yet handed on
	offered bool
}

func newSyncFilter(ch io.ReadWriteCloser) *syncFilter {
	return &syncFilter{ch: ch, in: bufio.NewReader(ch)}
}

// Read hands on whole packets.
func (f *syncFilter) Read(p []byte) (int, error) {
	if len(f.pending) == 0 {
		var head [4]byte
		if _, err := io.ReadFull(f.in, head[:]); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(head[:])
		if size == 0 || size > maxPacket {
			return 0, errPacketSize
		}
		packet := make([]byte, 4+size)
		copy(packet, head[:])
		if _, err := io.ReadFull(f.in, packet[4:]); err != nil {
			return 0, err
		}
		f.pending = rewriteSync(packet)
	}
	n := copy(p, f.pending)
	f.pending = f.pending[n:]
	return n, nil
}

// Write passes packets on; the first one is the version and gets the extension.
// A pkg/sftp server writes one packet at a time.
func (f *syncFilter) Write(p []byte) (int, error) {
	if f.offered || len(p) < 9 || p[4] != fxpVersion {
		f.offered = true
		return f.ch.Write(p)
	}
	f.offered = true
	pair := ssh.Marshal(struct{ Name, Version string }{fsyncName, "1"})
	grown := append(append([]byte{}, p...), pair...)
	binary.BigEndian.PutUint32(grown, uint32(len(grown)-4)) // #nosec G115 -- a few hundred bytes
	if _, err := f.ch.Write(grown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close closes the channel.
func (f *syncFilter) Close() error { return f.ch.Close() }

// rewriteSync turns an fsync request into an fsetstat without attributes, and leaves the rest.
func rewriteSync(packet []byte) []byte {
	if packet[4] != fxpExtended {
		return packet
	}
	var req struct {
		ID     uint32
		Name   string
		Handle string
	}
	if err := ssh.Unmarshal(packet[5:], &req); err != nil || req.Name != fsyncName {
		return packet
	}
	body := ssh.Marshal(struct {
		ID     uint32
		Handle string
		Attrs  uint32
	}{req.ID, req.Handle, 0})
	out := binary.BigEndian.AppendUint32(nil, uint32(1+len(body))) // #nosec G115 -- bounded by maxPacket
	out = append(out, fxpFsetstat)
	return append(out, body...)
}
