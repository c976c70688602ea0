// Package render turns what a command found into bytes for whoever reads them.
//
// A command returns a [View] and never asks which format was chosen: [Write] gives
// people an aligned table, a spreadsheet CSV and a program JSON or YAML. The JSON
// form of the view itself is the public contract; the table is for eyes and may
// change. Cells are values, not text: an unknown one is "n/a" for people, empty in
// CSV and null in JSON.
//
// This is the only package that knows what a terminal is: colour, width and the
// live line are decided here, and everything that came over a network passes [Safe].
package render

import (
	"fmt"
	"io"
	"strings"
)

// Format is a form of output.
type Format string

// The formats.
const (
	FormatTable Format = "table" // for people, as wide as needed for the usual questions
	FormatWide  Format = "wide"  // for people, every column, nothing shortened
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
	FormatCSV   Format = "csv"
)

// FormatNames lists every format, in the order in which help names them.
func FormatNames() []string {
	return []string{string(FormatTable), string(FormatWide), string(FormatJSON), string(FormatYAML), string(FormatCSV)}
}

// View is a result. The value's JSON encoding is public: fields are only ever added.
type View interface {
	Table() Table
}

// TextView is a View whose form for people is not a table. Text is written in
// place of the table; the other formats are not concerned.
type TextView interface {
	View
	Text(w io.Writer, o Options) error
}

// CSVView is a View whose CSV has other columns, or another order, than its table.
type CSVView interface {
	View
	CSV() Table
}

// Table is a view as rows. The zero value is an empty table.
type Table struct {
	Facts   []Fact   // stand above the rows; people's form only
	Title   string   // stands above the header; people's form only
	Columns []Column // none: no header and no rows are written
	Rows    [][]any  // one cell per column; see [Column]. A short row is filled with unknowns
	Empty   string   // said in place of a table without rows; people's form only
	Notes   []string // stand below the rows; people's form only
	More    []Table  // further tables below; people's form only
}

// Fact is a named value.
type Fact struct {
	Name  string
	Value any
}

// Column describes the cells of one column. Numbers, durations and unknowns among
// numbers are aligned to the right.
//
// A cell is nil (unknown), a nil pointer (unknown), a pointer to a cell, a string, a
// bool, a number, a [time.Duration], a [time.Time] (zero is unknown), a [PeerID], a
// [Toned], a []string or a fmt.Stringer. Text is made safe when it is written.
type Column struct {
	Name string // header, written in capitals for people and as it stands in CSV
	Show Show
	// Drop says in which order columns go, the highest first, where a table is wider
	// than the terminal. Those with 0 stay; wide and CSV drop none.
	Drop int
}

// Show says in which formats a column appears.
type Show int

// Where a column appears.
const (
	Always   Show = iota
	WideOnly      // wide and CSV
	CSVOnly
	NoCSV // table and wide
)

// Options of [Write]. The zero value writes an unlimited, colourless table.
type Options struct {
	Format   Format // "" is table
	NoHeader bool   // no header line in table, wide and CSV
	Width    int    // columns of the terminal; 0: no limit (a pipe, a file, a CI log)
	Colour   bool
	Graphic  bool // bars can be shown; see [Graphic]
}

// Write writes v in the format of o, and a final newline. It returns the first
// error of w.
func Write(w io.Writer, v View, o Options) error {
	switch o.Format {
	case FormatJSON:
		return writeJSON(w, v)
	case FormatYAML:
		return writeYAML(w, v)
	case FormatCSV:
		if c, ok := v.(CSVView); ok {
			return writeCSV(w, c.CSV(), o)
		}
		return writeCSV(w, v.Table(), o)
	case FormatTable, FormatWide, "":
		if t, ok := v.(TextView); ok {
			return t.Text(w, o)
		}
		return writeTables(w, v.Table(), o)
	}
	return fmt.Errorf("output: unknown format %q: accepted are %s", o.Format, strings.Join(FormatNames(), ", "))
}

// shown picks the columns of t that appear in format f.
func (t Table) shown(f Format) []int {
	var at []int
	for i, c := range t.Columns {
		var ok bool
		switch c.Show {
		case Always:
			ok = true
		case WideOnly:
			ok = f == FormatWide || f == FormatCSV
		case CSVOnly:
			ok = f == FormatCSV
		case NoCSV:
			ok = f != FormatCSV
		}
		if ok {
			at = append(at, i)
		}
	}
	return at
}

// cell is the cell of a row, unknown where the row is too short.
func cell(row []any, i int) any {
	if i < len(row) {
		return row[i]
	}
	return nil
}
