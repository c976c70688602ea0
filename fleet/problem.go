package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxProblems is how many problems of one file are told at once; the rest is counted.
const MaxProblems = 20

// Problem is one thing that is wrong with a fleet.yaml.
type Problem struct {
	Line   int    `json:"line,omitempty"`   // from 1; 0 for a spec that was not read from a file
	Column int    `json:"column,omitempty"` // from 1, in characters
	Key    string `json:"key,omitempty"`    // "dns.ttl", "nodes[0].region"; "" for the file as a whole
	Got    string `json:"got,omitempty"`    // the value, quoted if it is text, shortened
	Want   string `json:"want"`             // what is accepted, or what is wrong in words
}

// SpecError is every problem of a spec, in the order of the file.
type SpecError struct {
	File     string    // as it was given to Load; "" for a spec that was not read from a file
	Problems []Problem // at most MaxProblems
	More     int       // problems that are not listed
}

// Error is one line for each problem, in the form that editors jump to.
func (e *SpecError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.text(e.File))
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more problems", e.subject(), e.More))
	}
	return strings.Join(lines, "\n")
}

// Hint says where the accepted keys and values stand.
func (e *SpecError) Hint() string {
	return "Correct the lines named above; `fleetctl config schema` prints every key that is accepted."
}

func (e *SpecError) subject() string {
	if e.File == "" {
		return "spec"
	}
	return e.File
}

func (p Problem) text(file string) string {
	var b strings.Builder
	switch {
	case file == "":
		b.WriteString("spec")
	case p.Line == 0:
		b.WriteString(file)
	default:
		fmt.Fprintf(&b, "%s:%d:%d", file, p.Line, p.Column)
	}
	for _, part := range []string{p.Key, p.Got, p.Want} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
}

// quote shows text from a file: quoted, so that nothing in it reaches a terminal, and short.
func quote(s string) string {
	const most = 64
	if utf8.RuneCountInString(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", string([]rune(s)[:most]))
}

// plain is text from elsewhere with everything that is not printable escaped.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
