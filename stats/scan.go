package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// ScanOptions say what is scanned.
type ScanOptions struct {
	Lines bool  // entries follow each other without an array, as in NDJSON
	Most  int64 // bytes that are read; 0 is without a bound
}

// ScanRegistry reads a census as a stream and gives each of its entries to each, in
// the order of the text and with its doubles, until that returns an error. It holds a
// few hundred kilobytes, however long the census.
//
// An entry that makes no sense is left out and the rest is used, also where the text
// around it is broken: reading goes on where the next entry begins. These are told of by
// a [DamagedError], and so are entries that were seen in the future, which are not left
// out. Any other text (no array, cut off, nothing recognisable follows a broken entry, more
// than a thousand of them) is a [BrokenError]. That, or what the reader itself fails with,
// comes after everything before it was given out. Keys are in canonical base64.
func ScanRegistry(r io.Reader, now time.Time, o ScanOptions, each func(*Row) error) error {
	return newScan(r, now, o).scan(each)
}

// scan is one reading of a census.
type scan struct {
	in    input
	now   time.Time
	lines bool
	bad   DamagedError
	row   Row
	known [64]string
	torn  int   // how often the text was broken
	begun bool  // an array begins
	at    bool  // the position is where an entry begins, and not a comma
	stop  error // of each
}

func newScan(r io.Reader, now time.Time, o ScanOptions) *scan {
	s := &scan{in: newInput(r, o.Most), now: now, lines: o.Lines}
	s.row.known = &s.known
	return s
}

func (s *scan) scan(each func(*Row) error) error {
	err := s.run(func(row *Row) error {
		s.stop = each(row)
		return s.stop
	})
	switch {
	case s.stop != nil:
		return s.stop
	case err == nil && (s.bad.Damaged > 0 || s.bad.Ahead > 0):
		err = &s.bad
	case err != nil && s.in.arrived():
		err = &BrokenError{err}
	}
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return nil
}

func (s *scan) run(each func(*Row) error) error {
	if !s.lines {
		switch c, err := s.in.space(); {
		case err != nil:
			return err
		case c != '[':
			return s.noArray(c)
		}
		s.in.pos++
	}
	s.begun = true
	s.at = true
	for {
		more, err := s.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		ok, err := s.entry()
		if err != nil {
			return err
		}
		if ok {
			if err := each(&s.row); err != nil {
				return err
			}
		}
	}
	return nil
}

// noArray says what the text is instead.
func (s *scan) noArray(c byte) error {
	if c == '{' {
		return errors.New("an object, accepted is an array")
	}
	value, err := s.value()
	if err != nil {
		return err
	}
	var any json.RawMessage
	if err := json.Unmarshal(value, &any); err != nil {
		return explain(err)
	}
	return fmt.Errorf("%s, accepted is an array", clean(string(value), 80))
}

// next goes to the begin of the next entry; false is the end of the census.
func (s *scan) next() (bool, error) {
	c, err := s.in.space()
	at := s.at
	s.at = false
	switch {
	case s.lines && errors.Is(err, errCut):
		return false, nil
	case s.lines:
		return true, err
	case err != nil:
		return false, fmt.Errorf("after entry %d: %w", s.bad.Entries, err)
	case c == ']':
		s.in.pos++
		return false, s.in.end()
	case at:
		return true, nil
	case c == ',':
		s.in.pos++
		if _, err := s.in.space(); err != nil {
			return false, fmt.Errorf("entry %d: %w", s.bad.Entries, err)
		}
		return true, nil
	}
	// Without a comma, a part of the text is missing.
	if err := s.damaged(0, fmt.Errorf("not JSON: invalid character %q after an entry", c)); err != nil {
		return false, err
	}
	s.at = false
	return true, nil
}

// entry reads the one that begins at the position of the input; false is a damaged one.
func (s *scan) entry() (bool, error) {
	if err := s.in.fill(MaxRegistryEntry + 1); err != nil {
		return false, err
	}
	s.row.Ahead = 0
	if n := s.row.parse(s.in.rest()); n > 0 && n <= MaxRegistryEntry && s.row.sound(s.now) {
		s.in.pos += n
		s.bad.Entries++
		return true, nil
	}
	value, err := s.value()
	if err != nil {
		return false, s.damaged(1, err)
	}
	err = s.row.decode(value, s.now)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return false, s.damaged(1, explain(err))
	}
	s.in.pos += len(value)
	if err != nil {
		s.bad.add(err)
		return false, nil
	}
	s.bad.ahead(s.row.Ahead)
	s.bad.Entries++
	return true, nil
}

// value is the text of the JSON value at the position, as far as brackets and quotes tell.
func (s *scan) value() ([]byte, error) {
	if err := s.in.fill(MaxRegistryEntry + 1); err != nil {
		return nil, err
	}
	rest := s.in.rest()
	switch n := extent(rest[:min(len(rest), MaxRegistryEntry)]); {
	case n > 0:
		return rest[:n], nil
	case len(rest) > MaxRegistryEntry:
		return nil, errLong
	}
	return nil, s.in.why()
}

// maxTorn is how often a reading goes on after a broken text: each time costs an entry's
// length.
const maxTorn = 1000

// damaged goes on where the next entry begins, skip bytes from here on or later. Where
// none does, err is the end of the reading.
func (s *scan) damaged(skip int, err error) error {
	rest := s.in.rest()
	rest = rest[:min(len(rest), MaxRegistryEntry+1)]
	if i := rowBegin(rest[min(skip, len(rest)):]); i >= 0 && skip > 0 {
		var syntax *json.SyntaxError // the better reason: why this is no value
		if bad := json.Unmarshal(rest[:skip+i], new(json.RawMessage)); errors.As(bad, &syntax) {
			err = explain(bad)
		}
	}
	if s.torn++; s.torn > maxTorn {
		return fmt.Errorf("the text is broken in more than %d places: entry %d: %w", maxTorn, s.bad.Entries, err)
	}
	if !s.in.find(skip) {
		return fmt.Errorf("entry %d: %w", s.bad.Entries, err)
	}
	s.at = true
	s.bad.add(err)
	return nil
}

// extent is how many bytes the first JSON value of buf has; 0 if it does not end there.
// What is no value has at least one.
func extent(buf []byte) int {
	depth, text := 0, false
	for i := 0; i < len(buf); i++ {
		c := buf[i]
		switch {
		case text:
			if c == '\\' {
				i++
			} else if c == '"' {
				text = false
			}
		case c == '"':
			text = true
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		case depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			return max(1, i)
		}
		if depth < 0 {
			return max(1, i)
		}
		if depth == 0 && !text && (c == '"' || c == '}' || c == ']') {
			return i + 1
		}
	}
	return 0
}
