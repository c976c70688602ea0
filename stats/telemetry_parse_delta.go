package stats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// MaxDelta is how many bytes of one page of a delta are read, after decompression.
const MaxDelta = 16 << 20

// CensusPage is one answer of /api/census/delta.
type CensusPage struct {
	Delta
	Entries []CensusEntry // oldest change first; never nil once the first line was read
	// End is zero where the answer is cut off. Its cursor covers all of Entries, and those
	// that were damaged.
	End DeltaEnd
}

// deltaLine is an entry or the end, whichever its fields say.
type deltaLine struct {
	CensusEntry
	Cursor  *string `json:"cursor"`
	Entries *int    `json:"entries"`
	More    bool    `json:"more"`
}

// ParseDelta reads one page as a stream. Lines are counted from 1. Entries that make no
// sense are left out, those seen in the future count as seen now, and a [DamagedError]
// tells of both. After any other error (no end, larger than [MaxDelta], or no page or more
// than a [DeltaPage], which are a [BrokenError]) the page holds what was read until there,
// and no end: what its cursor would have covered is asked for again.
func ParseDelta(r io.Reader, now time.Time) (CensusPage, error) {
	p := deltaParser{in: bufio.NewReaderSize(&atMost{r: r, left: MaxDelta}, MaxRegistryEntry), now: now}
	err := p.parse()
	switch {
	case err != nil:
		p.page.End = DeltaEnd{}
		return p.page, fmt.Errorf("delta: %w", err)
	case p.bad.Damaged > 0 || p.bad.Ahead > 0:
		return p.page, fmt.Errorf("delta: %w", &p.bad)
	}
	return p.page, nil
}

type deltaParser struct {
	in   *bufio.Reader
	now  time.Time
	line int // that was read last
	page CensusPage
	bad  DamagedError

	row   Row // as most are written
	words [64]string
}

// errLongLine is a line that is skipped.
var errLongLine = fmt.Errorf("longer than %d bytes", MaxRegistryEntry)

// next reads a whole line. io.EOF is the end, with nothing before it.
func (p *deltaParser) next() ([]byte, error) {
	p.line++
	text, err := p.in.ReadSlice('\n')
	switch {
	case err == nil:
		return bytes.TrimSpace(text), nil
	case errors.Is(err, bufio.ErrBufferFull):
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = p.in.ReadSlice('\n')
		}
		if err == nil {
			return nil, errLongLine
		}
	case errors.Is(err, io.EOF) && len(text) == 0:
		return nil, io.EOF
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return nil, err
}

func (p *deltaParser) parse() error {
	text, err := p.next()
	if errors.Is(err, io.EOF) {
		err = errCut
	}
	if err == nil {
		err = p.first(text)
	}
	if err != nil {
		p.page.Delta = Delta{}
		return fmt.Errorf("line 1: %w", err)
	}
	p.page.Entries = []CensusEntry{}
	for {
		text, err := p.next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("after line %d: %w", p.line-1, errCut)
		case errors.Is(err, errLongLine):
			p.damaged(err)
		case err != nil:
			return fmt.Errorf("line %d: %w", p.line, err)
		default:
			done, err := p.take(text)
			if err != nil {
				return fmt.Errorf("line %d: %w", p.line, &BrokenError{err})
			}
			if done {
				return p.nothingMore()
			}
		}
		if p.bad.Entries > DeltaPage {
			return fmt.Errorf("line %d: %w", p.line, &BrokenError{fmt.Errorf("more than %d entries", DeltaPage)})
		}
	}
}

// first reads the line that says what follows.
func (p *deltaParser) first(text []byte) error {
	_, err := decode(text, &p.page.Delta, "registry", "full")
	if err == nil && !isLife(p.page.Registry) {
		err = fmt.Errorf("registry: %q, accepted are 32 hex digits", clean(p.page.Registry, 80))
	}
	if err != nil {
		return &BrokenError{err}
	}
	return nil
}

// take reads one line, and reports whether it is the last.
func (p *deltaParser) take(text []byte) (bool, error) {
	p.row.known = &p.words
	if len(text) > 0 && p.row.parse(text) == len(text) && !p.row.other && p.row.sound(p.now) {
		p.page.Entries = append(p.page.Entries, p.row.Entry())
		p.bad.Entries++
		return false, nil
	}
	var line deltaLine
	err := json.Unmarshal(text, &line)
	switch {
	case !utf8.Valid(text):
		err = errors.New("invalid UTF-8")
	case err != nil:
		err = explain(err)
	case line.Cursor != nil && line.PeerPubkey == "":
		return true, p.end(line)
	default:
		ahead := line.ahead(p.now)
		if err = line.check(p.now); err == nil {
			p.bad.ahead(ahead)
			p.bad.Entries++
			p.page.Entries = append(p.page.Entries, line.CensusEntry)
			return false, nil
		}
	}
	p.damaged(err)
	return false, nil
}

func (p *deltaParser) damaged(err error) {
	p.bad.Entries++
	if p.bad.Damaged++; p.bad.Damaged <= maxDamages {
		p.bad.First = append(p.bad.First, fmt.Sprintf("line %d: %v", p.line, err))
	}
}

func (p *deltaParser) end(line deltaLine) error {
	switch {
	case !isCursor(*line.Cursor):
		return fmt.Errorf("cursor: %q is no cursor", clean(*line.Cursor, 80))
	case line.Entries == nil:
		return errors.New("entries: missing")
	case *line.Entries != p.bad.Entries:
		return fmt.Errorf("entries: %d, and %d came", *line.Entries, p.bad.Entries)
	}
	p.page.End = DeltaEnd{Cursor: *line.Cursor, Entries: *line.Entries, More: line.More}
	return nil
}

func (p *deltaParser) nothingMore() error {
	switch _, err := p.next(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil, errors.Is(err, errCut), errors.Is(err, errLongLine):
		return fmt.Errorf("line %d: %w", p.line, &BrokenError{errors.New("something follows the end")})
	default:
		return fmt.Errorf("line %d: %w", p.line, err)
	}
}

// atMost is a reader that fails beyond so many bytes.
type atMost struct {
	r    io.Reader
	left int64
}

func (a *atMost) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, fmt.Errorf("larger than %d bytes", MaxDelta)
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, err
}
