package render_test

import (
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/render"
)

// values makes a list in which -1 is unknown.
func values(all ...float64) []*float64 {
	out := make([]*float64, len(all))
	for i, v := range all {
		if v >= 0 {
			out[i] = &v
		}
	}
	return out
}

func TestSparkline_LeavesAGapForTheUnknownAndABarForZero(t *testing.T) {
	for _, c := range []struct {
		of   []*float64
		want string
	}{
		{values(0, 1, 2, 3, 4, 5, 6, 7), "▁▂▃▄▅▆▇█"},
		{values(0, -1, 7), "▁ █"},
		{values(-1, 5, -1, 5), " █ █"},
		{values(0, 0), "▁▁"},
		{values(5), ""},
		{values(-1, -1, -1), ""},
		{nil, ""},
	} {
		if got := render.Sparkline(c.of); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := []rune(render.Sparkline(values(make([]float64, 500)...))); len(got) != 48 {
		t.Errorf("500 values are %d bars, want 48", len(got))
	}
}

func TestGraphic_IsATerminalOfALocaleThatHasBars(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		env      map[string]string
		want     bool
	}{
		{true, map[string]string{"LANG": "en_US.UTF-8"}, true},
		{true, map[string]string{"LANG": "C.utf8", "TERM": "xterm"}, true},
		{false, map[string]string{"LANG": "en_US.UTF-8"}, false},
		{true, map[string]string{"LANG": "en_US.UTF-8", "TERM": "dumb"}, false},
		{true, map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{true, nil, false},
	} {
		if got := render.Graphic(func(name string) string { return c.env[name] }, c.terminal); got != c.want {
			t.Errorf("terminal %t, %v: got %t", c.terminal, c.env, got)
		}
	}
}

// trendView has one fact with a past and one without.
type trendView struct{}

func (trendView) Table() render.Table {
	return render.Table{
		Facts:   []render.Fact{{Name: "users", Value: render.Trend{Value: 7, Past: values(1, 7)}}, {Name: "as of", Value: "now"}},
		Columns: []render.Column{{Name: "n"}}, Rows: [][]any{{render.Trend{Value: 7}}},
	}
}

func TestTrend_IsBarsOnATerminalThatCanAndTheValueElsewhere(t *testing.T) {
	for _, c := range []struct {
		o    render.Options
		want string
	}{
		{render.Options{Graphic: true}, "users:  7    ▂█\nas of:  now\n\nN\n7\n"},
		{render.Options{}, "users:  7\nas of:  now\n\nN\n7\n"},
		{render.Options{Format: render.FormatCSV, Graphic: true}, "n\n7\n"},
	} {
		var out strings.Builder
		if err := render.Write(&out, trendView{}, c.o); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%+v: got\n%q, want\n%q", c.o, out.String(), c.want)
		}
	}
}

// markedView has marked numbers, and text that looks like formulas.
type markedView struct{}

func (markedView) Table() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "n"}, {Name: "text"}},
		Rows: [][]any{
			{render.Marked{Mark: "≥", Value: 120}, "=cmd|' /C calc'!A1"}, {7, "+1"}, {-3, "@SUM(A1)"}, {render.Marked{Mark: "≥"}, "-1"}, {0.5, []string{"=x", "y"}},
		},
	}
}

func TestMarked_IsANumberForProgramsAndAlignedForPeople(t *testing.T) {
	for _, c := range []struct{ form, want string }{
		{"table", "   N  TEXT\n≥120  =cmd|' /C calc'!A1\n   7  +1\n  -3  @SUM(A1)\n n/a  -1\n 0.5  =x, y\n"},
		{"csv", "n,text\n120,'=cmd|' /C calc'!A1\n7,'+1\n-3,'@SUM(A1)\n,'-1\n0.5,'=x y\n"},
	} {
		var out strings.Builder
		if err := render.Write(&out, markedView{}, render.Options{Format: render.Format(c.form)}); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.form, out.String(), c.want)
		}
	}
}
