package render

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestTable_DropsColumnsInTheirOrderWhereTheTerminalIsNarrow(t *testing.T) {
	table := Table{
		Columns: []Column{{Name: "node"}, {Name: "first", Drop: 2}, {Name: "second", Drop: 1}, {Name: "kept"}},
		Rows:    [][]any{{"nyc1-1", "1234567890", "1234567890", 7}},
	}
	for _, c := range []struct {
		format Format
		width  int
		want   string
	}{
		{FormatTable, 0, "NODE FIRST SECOND KEPT"},
		{FormatTable, 36, "NODE FIRST SECOND KEPT"},
		{FormatTable, 35, "NODE SECOND KEPT"},
		{FormatTable, 20, "NODE KEPT"},
		{FormatTable, 5, "NODE KEPT"},
		{FormatWide, 20, "NODE FIRST SECOND KEPT"},
		{FormatCSV, 20, "node,first,second,kept"},
	} {
		var out bytes.Buffer
		if err := Write(&out, tableView{table}, Options{Format: c.format, Width: c.width}); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(out.String(), "\n")
		if got := strings.Join(strings.Fields(head), " "); got != c.want {
			t.Errorf("%s, %d columns: got %q, want %q", c.format, c.width, got, c.want)
		}
	}
}

func TestWrap_IndentsAllButTheFirstLine(t *testing.T) {
	got := Wrap("error: the relay does not answer", 20)
	if want := []string{"error: the relay", "  does not answer"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Wrap("error: the relay does not answer", 0); len(got) != 1 {
		t.Errorf("without a limit: got %q", got)
	}
}

// tableView is a view that is nothing but its table.
type tableView struct{ table Table }

func (v tableView) Table() Table { return v.table }
