package bigmerge

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/relayfleet/fleetctl/stats"
)

// recordLength is what a peer has in a run: its key, then First, Last, Relays, From and
// To as little-endian numbers of 32 bits.
const recordLength = 32 + 5*4

// run is a file of peers in the order of their keys.
type run struct {
	file  *os.File
	out   *bufio.Writer
	in    *bufio.Reader
	bytes int64
	buf   [recordLength]byte
}

const bufferLength = 256 << 10

// newRun makes a file without a name.
func newRun(dir string) (*run, error) {
	file, err := os.CreateTemp(dir, "fleetctl-merge-*")
	if err != nil {
		return nil, fmt.Errorf("merge on disk: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("merge on disk: %w", err), file.Close())
	}
	return &run{file: file, out: bufio.NewWriterSize(file, bufferLength)}, nil
}

// write appends a peer.
func (r *run) write(s *stats.Sight) error {
	b := append(r.buf[:0], s.Key[:]...)
	for _, n := range [...]uint32{s.First, s.Last, s.Relays, s.From, s.To} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	n, err := r.out.Write(b)
	r.bytes += int64(n)
	if err != nil {
		return fmt.Errorf("merge on disk: %w", err)
	}
	return nil
}

// flush ends the writing.
func (r *run) flush() error {
	if err := r.out.Flush(); err != nil {
		return fmt.Errorf("merge on disk: %w", err)
	}
	r.out = nil
	return nil
}

// rewind begins to read at the first peer.
func (r *run) rewind() error {
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("merge on disk: %w", err)
	}
	r.in = bufio.NewReaderSize(r.file, bufferLength)
	return nil
}

var _ stats.SightReader = (*run)(nil)

// ReadSight implements [stats.SightReader]. A file that ends within a peer is an error.
func (r *run) ReadSight(s *stats.Sight) error {
	if _, err := io.ReadFull(r.in, r.buf[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("merge on disk: %w", err)
	}
	copy(s.Key[:], r.buf[:])
	for i, n := range [...]*uint32{&s.First, &s.Last, &s.Relays, &s.From, &s.To} {
		*n = binary.LittleEndian.Uint32(r.buf[32+4*i:])
	}
	return nil
}
