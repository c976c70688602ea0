package render

import (
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// narrow drops columns until the rest fits into width, or no more may go.
func (t Table) narrow(at []int, width int) []int {
	need := func(c int) int {
		most := twwidth.Width(Safe(t.Columns[c].Name))
		for _, row := range t.Rows {
			v, _ := plain(cell(row, c))
			most = max(most, twwidth.Width(forPeople(v, false)))
		}
		return most + gap
	}
	total := -gap
	for _, c := range at {
		total += need(c)
	}
	for width > 0 && total > width {
		last := slices.MaxFunc(at, func(a, b int) int { return t.Columns[a].Drop - t.Columns[b].Drop })
		if t.Columns[last].Drop == 0 {
			break
		}
		total -= need(last)
		at = slices.DeleteFunc(at, func(c int) bool { return c == last })
	}
	return at
}

// fit wraps the widest left-aligned columns until the line fits.
func fit(header []string, rows [][]string, right []bool, width int) [][]string {
	if width <= 0 {
		return rows
	}
	widths := make([]int, len(right))
	total := gap * (len(right) - 1)
	for i := range right {
		if header != nil {
			widths[i] = twwidth.Width(header[i])
		}
		for _, row := range rows {
			widths[i] = max(widths[i], twwidth.Width(row[i]))
		}
		total += widths[i]
	}
	whole := make([]int, len(right)) // as wide as the longest word: peer IDs stay in one piece if they can
	least := make([]int, len(right))
	for i := range right {
		least[i] = narrowest
		whole[i] = narrowest
		for _, row := range rows {
			for _, word := range strings.Fields(row[i]) {
				whole[i] = max(whole[i], twwidth.Width(word))
			}
		}
	}
	if !shrink(widths, right, whole, total-width) && !shrink(widths, right, least, excess(widths, width)) {
		return rows // it cannot be made to fit: the terminal wraps
	}
	out := make([][]string, len(rows))
	for r, row := range rows {
		out[r] = make([]string, len(row))
		for i, text := range row {
			if twwidth.Width(text) > widths[i] {
				text = wrapTinted(text, widths[i])
			}
			out[r][i] = text
		}
	}
	return out
}

// excess is how much wider than width columns of these widths are.
func excess(widths []int, width int) int {
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	return total - width
}

// shrink takes so many characters from the widest left-aligned columns, none of which
// becomes narrower than its least. It reports whether that was possible.
func shrink(widths []int, right []bool, least []int, by int) bool {
	for by > 0 {
		widest := -1
		for i, r := range right {
			if !r && widths[i] > least[i] && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		cut := min(by, widths[widest]-least[widest])
		// Take from the widest only what makes it as wide as the second widest.
		for i, r := range right {
			if !r && i != widest && widths[i] > least[i] && widths[i] < widths[widest] {
				cut = min(cut, max(widths[widest]-widths[i], 1))
			}
		}
		widths[widest] -= cut
		by -= cut
	}
	return true
}

// Wrap breaks safe text into lines of at most width columns, at spaces where there are
// any; all but the first begin with two spaces. A width of 0 is no limit.
func Wrap(text string, width int) []string {
	lines := wrap(text, width)
	if len(lines) == 1 {
		return lines
	}
	lines = wrap(text, max(width-2, narrowest))
	for i := 1; i < len(lines); i++ {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// wrap breaks safe text into lines of at most width columns, at spaces where there
// are any. A width of 0 is no limit.
func wrap(text string, width int) []string {
	if width <= 0 || twwidth.Width(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			joined := word
			if line != "" {
				joined = line + " " + word
			}
			if twwidth.Width(joined) <= width {
				line = joined
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			head := split(word, width)
			lines, word = append(lines, word[:head]), word[head:]
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// split is how many bytes of a word fit into width columns, at least one character.
func split(word string, width int) int {
	used := 0
	for i, r := range word {
		used += twwidth.Width(string(r))
		if i > 0 && used > width {
			return i
		}
	}
	return len(word)
}
