package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// gap is how many spaces stand between two columns.
const gap = 2

// narrowest is the least width that a column is wrapped to.
const narrowest = 16

// writeTables writes t and the tables below it, with an empty line between two blocks.
func writeTables(w io.Writer, t Table, o Options) error {
	var blocks []string
	for _, one := range append([]Table{t}, t.More...) {
		more, err := one.blocks(o)
		if err != nil {
			return err
		}
		blocks = append(blocks, more...)
	}
	if len(blocks) == 0 {
		return nil
	}
	_, err := io.WriteString(w, strings.Join(blocks, "\n"))
	return err
}

// blocks are the parts of one table, each ending in a newline.
func (t Table) blocks(o Options) ([]string, error) {
	var blocks []string
	if len(t.Facts) > 0 {
		text, err := facts(t.Facts, o)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, text)
	}
	title := ""
	if t.Title != "" {
		title = Safe(t.Title) + "\n"
	}
	switch {
	case len(t.Columns) > 0 && (len(t.Rows) > 0 || t.Empty == ""):
		text, err := t.grid(o)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, title+text)
	case t.Empty != "":
		blocks = append(blocks, title+Safe(t.Empty)+"\n")
	}
	if len(t.Notes) > 0 {
		var b strings.Builder
		for _, note := range t.Notes {
			for _, line := range wrap(Safe(note), o.Width) {
				b.WriteString(line + "\n")
			}
		}
		blocks = append(blocks, b.String())
	}
	return blocks, nil
}

// facts are lines of a name and a value.
func facts(all []Fact, o Options) (string, error) {
	grid := make([][]string, len(all))
	drawn := false
	for i, f := range all {
		v, tone := plain(f.Value)
		bars := ""
		if trend, ok := f.Value.(Trend); ok && o.Graphic {
			bars = Sparkline(trend.Past)
		}
		drawn = drawn || bars != ""
		grid[i] = []string{Safe(f.Name) + ":", tint(forPeople(v, o.Format == FormatWide), tone, o.Colour), bars}
	}
	if drawn {
		return align(nil, grid, []bool{false, false, false}, o.Width)
	}
	for i := range grid {
		grid[i] = grid[i][:2]
	}
	return align(nil, grid, []bool{false, false}, o.Width)
}

// grid is the header and the rows.
func (t Table) grid(o Options) (string, error) {
	format := o.Format
	if format != FormatWide {
		format = FormatTable
	}
	at := t.shown(format)
	if format == FormatTable {
		at = t.narrow(at, o.Width)
	}
	var header []string
	right := make([]bool, len(at))
	for i, c := range at {
		if !o.NoHeader {
			header = append(header, strings.ToUpper(Safe(t.Columns[c].Name)))
		}
		right[i] = t.isNumeric(c)
	}
	rows := make([][]string, len(t.Rows))
	for r, row := range t.Rows {
		rows[r] = make([]string, len(at))
		for i, c := range at {
			v, tone := plain(cell(row, c))
			if v == nil && tone == Plain {
				tone = Faint
			}
			rows[r][i] = tint(forPeople(v, format == FormatWide), tone, o.Colour)
		}
	}
	return align(header, rows, right, o.Width)
}

// isNumeric reports whether a column holds numbers and unknowns only.
func (t Table) isNumeric(column int) bool {
	found := false
	for _, row := range t.Rows {
		v, _ := plain(cell(row, column))
		if v == nil {
			continue
		}
		if !numeric(v) {
			return false
		}
		found = true
	}
	return found
}

// align lays cells out in columns without borders, no wider than width where that
// can be had by wrapping the widest text column.
func align(header []string, rows [][]string, right []bool, width int) (string, error) {
	if len(right) == 0 {
		return "", nil
	}
	rows = fit(header, rows, right, width)
	cells := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Padding:    tw.CellPadding{Global: tw.Padding{Right: strings.Repeat(" ", gap), Overwrite: true}},
	}
	for _, r := range right {
		side := tw.AlignLeft
		if r {
			side = tw.AlignRight
		}
		cells.Alignment.PerColumn = append(cells.Alignment.PerColumn, side)
	}
	var buf bytes.Buffer
	table := tablewriter.NewTable(&buf,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone, CompactMode: tw.On},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header: cells, Row: cells, Behavior: tw.Behavior{TrimSpace: tw.Off},
		}))
	if header != nil {
		table.Header(header)
	}
	if err := table.Bulk(rows); err != nil {
		return "", fmt.Errorf("table: %w", err)
	}
	if err := table.Render(); err != nil {
		return "", fmt.Errorf("table: %w", err)
	}
	return trimLines(buf.String()), nil
}

// trimLines takes the padding off the end of every line.
func trimLines(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		bare := strings.TrimSuffix(line, reset)
		trimmed := strings.TrimRight(bare, " ")
		if bare != line && strings.Count(trimmed, "\x1b[") > 2*strings.Count(trimmed, reset) {
			trimmed += reset
		}
		lines[i] = trimmed
	}
	return strings.Join(lines, "\n") + "\n"
}
