package stats

import (
	"errors"
	"fmt"
	"io"
)

// input is a reader with a window of its text.
type input struct {
	r     io.Reader
	buf   []byte
	pos   int
	most  int64 // bytes that are read; 0 is without a bound
	given int64 // bytes that were read
	err   error // why there is no more
}

var (
	errLarge = errors.New("larger")
	errLong  = fmt.Errorf("longer than %d bytes", MaxRegistryEntry)
)

// errCut is the end of the text where there should be more.
var errCut = errors.New("the text is cut off")

func newInput(r io.Reader, most int64) input {
	return input{r: r, buf: make([]byte, 0, 4*MaxRegistryEntry), most: most}
}

func (in *input) rest() []byte { return in.buf[in.pos:] }

// why is the reason for the end of the text.
func (in *input) why() error {
	if in.arrived() {
		return errCut
	}
	return in.err
}

// arrived reports whether all of the text is there as far as its reader knows.
func (in *input) arrived() bool { return in.err == nil || errors.Is(in.err, io.EOF) }

// fill reads until there are n bytes from the position on, or no more. Only what the
// reader says of itself when it gave nothing is an error, and not its end.
func (in *input) fill(n int) error {
	if len(in.buf)-in.pos >= n || in.err != nil {
		return in.broken()
	}
	if cap(in.buf)-in.pos < n || len(in.buf) == cap(in.buf) {
		in.buf = in.buf[:copy(in.buf[:cap(in.buf)], in.rest())]
		in.pos = 0
	}
	for tries := 0; len(in.buf)-in.pos < n && in.err == nil; tries++ {
		room := in.buf[len(in.buf):cap(in.buf)]
		if in.most > 0 {
			if in.given >= in.most {
				in.err = fmt.Errorf("%w than %d bytes", errLarge, in.most)
				break
			}
			room = room[:min(int64(len(room)), in.most-in.given)]
		}
		var got int
		got, in.err = in.r.Read(room)
		in.given += int64(got)
		in.buf = in.buf[:len(in.buf)+got]
		if got > 0 {
			tries = 0
		} else if tries > 100 && in.err == nil {
			in.err = io.ErrNoProgress
		}
	}
	return in.broken()
}

// broken is why the reader stopped, once all that it gave was read.
func (in *input) broken() error {
	if in.pos < len(in.buf) || in.arrived() {
		return nil
	}
	return in.err
}

// end is an error if anything but white space follows.
func (in *input) end() error {
	switch _, err := in.space(); {
	case err == nil:
		return errors.New("something follows the array")
	case errors.Is(err, errCut):
		return nil
	default:
		return err
	}
}

// space goes to what is no white space, and returns it. White space as long as an entry
// may be is an error.
func (in *input) space() (byte, error) {
	for skipped := 0; ; {
		at := skipSpace(in.buf, in.pos)
		skipped += at - in.pos
		in.pos = at
		if skipped >= MaxRegistryEntry {
			return 0, errLong
		}
		if at < len(in.buf) {
			return in.buf[at], nil
		}
		if err := in.fill(1); err != nil {
			return 0, err
		}
		if len(in.rest()) == 0 {
			return 0, in.why()
		}
	}
}

// find goes to the next begin of an entry, skip bytes from here on or later; it stays
// where it is if there is none.
func (in *input) find(skip int) bool {
	from := min(skip, len(in.rest()))
	in.pos += from
	for {
		if i := rowBegin(in.rest()); i >= 0 {
			in.pos += i
			return true
		}
		// What could be the begin of one stays in the window.
		in.pos = max(in.pos, len(in.buf)-beginLength)
		if had := len(in.rest()); in.fill(had+1) != nil || len(in.rest()) == had {
			return false
		}
	}
}

// beginLength is more than the begin of an entry has, with some white space in it.
const beginLength = 64
