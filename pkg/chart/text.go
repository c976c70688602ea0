package chart

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// Text draws c in characters, at most Width columns wide: one block of Height rows for
// each line. A column of what is unknown is empty above a "?", and a "+" stands below
// one whose truth may be larger.
func Text(w io.Writer, c Chart) error {
	if err := c.check(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, c.title())
	for _, l := range c.Lines {
		if l.Label != "" {
			fmt.Fprintf(out, "\n%s\n", render.SafeUpTo(l.Label, 40))
		}
		c.block(out, l)
	}
	f := c.flaws()
	for _, note := range []struct {
		say  bool
		text string
	}{
		{f.unknown, "?  unknown"},
		{f.atLeast || f.without, "+  " + f.least()},
		{f.worst > 0, fmt.Sprintf("estimated, standard error %.2g %%", 100*f.worst)},
	} {
		if note.say {
			fmt.Fprintln(out, note.text)
		}
	}
	return out.Flush()
}

// column is what is drawn of one or several points: the largest of them.
type column struct {
	value            *float64
	atLeast, unknown bool
}

// block draws one line.
func (c Chart) block(out io.Writer, l Line) {
	height := c.Height
	if height <= 0 {
		height = 10
	}
	width := c.Width
	if width <= 0 {
		width = 72
	}
	ticks := valueTicks(c.most(), c.Unit)
	top := ticks[len(ticks)-1]
	margin := utf8.RuneCountInString(top.label)
	from, to := c.span()
	columns, per := l.columns(from, to, max(width-margin-3, 8))
	for row := height; row > 0; row-- {
		mark := ""
		if row == height {
			mark = top.label
		}
		fmt.Fprintf(out, "%*s │%s\n", margin, mark, strings.TrimRight(drawn(columns, row, height, top.at), " "))
	}
	fmt.Fprintf(out, "%*s └%s\n", margin, "0", strings.Repeat("─", len(columns)))
	if below := under(columns); below != "" {
		fmt.Fprintf(out, "%*s  %s\n", margin, "", below)
	}
	fmt.Fprintf(out, "%*s  %s\n", margin, "", c.ends(from, to, len(columns)))
	if per > 1 {
		fmt.Fprintf(out, "%*s  a column is the largest of %d points\n", margin, "", per)
	}
}

// drawn is one row of the block: what of each column reaches into it, in eighths.
func drawn(columns []column, row, height int, top float64) string {
	const eighths = " ▁▂▃▄▅▆▇█"
	var b strings.Builder
	for _, col := range columns {
		if col.value == nil {
			b.WriteByte(' ')
			continue
		}
		share := min(max(*col.value/top, 0), 1)
		full := int(share*float64(height)*8 + 0.5)
		if full == 0 && *col.value > 0 {
			full = 1 // it is little, and not nothing
		}
		b.WriteRune([]rune(eighths)[min(max(full-(row-1)*8, 0), 8)])
	}
	return b.String()
}

// under is the line of marks below the block, "" if there is nothing to mark.
func under(columns []column) string {
	marks := make([]byte, len(columns))
	for i, col := range columns {
		switch {
		case col.value == nil:
			marks[i] = '?'
		case col.atLeast, col.unknown:
			marks[i] = '+'
		default:
			marks[i] = ' '
		}
	}
	return strings.TrimRight(string(marks), " ")
}

// ends are the first and the last time, below the first and the last column.
func (c Chart) ends(from, to time.Time, width int) string {
	format := "2006-01-02"
	if to.Sub(from) < 4*24*time.Hour {
		format = "2006-01-02 15:04"
	}
	first, last := from.In(c.location()).Format(format), to.In(c.location()).Format(format)
	zone := " " + c.location().String()
	if first == last {
		return first + zone
	}
	return first + strings.Repeat(" ", max(width-len(first)-len(last), 1)) + last + zone
}

// columns puts the points of a line where their time is between two times, at most so
// many columns; per is how many points one column stands for.
func (l Line) columns(from, to time.Time, most int) (columns []column, per int) {
	step := l.Step
	if step <= 0 {
		step = max(to.Sub(from)/time.Duration(most), time.Second)
	}
	slots := int((to.Sub(from)+step/2)/step) + 1
	per = (slots + most - 1) / most
	columns = make([]column, (slots+per-1)/per)
	for _, p := range l.Points {
		at := int((p.At.Sub(from)+step/2)/step) / per
		columns[min(max(at, 0), len(columns)-1)].take(p)
	}
	return columns, per
}

// take keeps the larger value, and every doubt.
func (c *column) take(p stats.Point) {
	if p.Value == nil {
		c.unknown = true
		return
	}
	if c.value == nil || *p.Value > *c.value {
		c.value = p.Value
	}
	c.atLeast = c.atLeast || p.AtLeast || p.EitherWay()
}
