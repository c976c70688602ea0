package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relayfleet/fleetctl/pkg/chart"
	"github.com/relayfleet/fleetctl/stats"
)

const unknown = -1 // in the lists of values below

// line has a point for each value, a day apart from 2026-11-01 UTC on.
func line(label string, values ...float64) chart.Line {
	l := chart.Line{Label: label, Step: 24 * time.Hour}
	for i, v := range values {
		p := stats.Point{At: time.Date(2026, 11, 1+i, 0, 0, 0, 0, time.UTC), Figure: stats.Figure{Missing: []string{}}}
		if v != unknown {
			p.Value = &v
		}
		l.Points = append(l.Points, p)
	}
	return l
}

func atLeast(l chart.Line, days ...int) chart.Line {
	for _, d := range days {
		l.Points[d].AtLeast, l.Points[d].Missing = true, []string{"nyc1-1"}
	}
	return l
}

func svg(t *testing.T, c chart.Chart) string {
	t.Helper()
	var out strings.Builder
	if err := chart.SVG(&out, c); err != nil {
		t.Fatalf("SVG: %v", err)
	}
	return out.String()
}

func text(t *testing.T, c chart.Chart) string {
	t.Helper()
	var out strings.Builder
	if err := chart.Text(&out, c); err != nil {
		t.Fatalf("Text: %v", err)
	}
	return out.String()
}

func TestText_DrawsGapsAndMarksAndNeverZeroForUnknown(t *testing.T) {
	l := atLeast(line("", 4, 8, unknown, unknown, 12, 0, 10, 16), 1, 6)
	got := text(t, chart.Chart{Title: "Peers ever seen", Unit: "peers", Lines: []chart.Line{l}, Height: 4})
	want := `Peers ever seen (peers)
20 │       ▂
   │    ▃  █
   │ ▅  █ ██
   │▆█  █ ██
 0 └────────
     +??  +
    2026-11-01 2026-11-08 UTC
?  unknown
+  at least: nyc1-1 did not answer
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestText_APointThatIsMissingIsAGap(t *testing.T) {
	l := line("", 5, 5, 5, 5)
	l.Points = append(l.Points[:1], l.Points[3:]...)
	got := text(t, chart.Chart{Title: "x", Unit: "peers", Lines: []chart.Line{l}, Height: 1})
	if !strings.Contains(got, "│█  █\n") || !strings.Contains(got, " ??\n") {
		t.Errorf("the two days in between are no gap:\n%s", got)
	}
}

func TestText_ManyPointsShareAColumnAndSayIt(t *testing.T) {
	values := make([]float64, 365)
	for i := range values {
		values[i] = float64(i)
	}
	got := text(t, chart.Chart{Title: "x", Lines: []chart.Line{line("", values...)}, Width: 60})
	if !strings.Contains(got, "a column is the largest of 7 points") {
		t.Errorf("it does not say what a column is:\n%s", got)
	}
	for l := range strings.Lines(got) {
		if n := len([]rune(l)) - 1; n > 66 { // the name of the time zone may stand beyond
			t.Errorf("a line of %d columns:\n%s", n, l)
		}
	}
}

func TestSVG_CutsTheLineAtWhatIsUnknown(t *testing.T) {
	whole := svg(t, chart.Chart{Title: "x", Lines: []chart.Line{line("", 1, 2, 3, 4, 5)}})
	cut := svg(t, chart.Chart{Title: "x", Lines: []chart.Line{line("", 1, 2, unknown, 4, 5)}})
	if w, c := lines(whole), lines(cut); c != w+1 {
		t.Errorf("paths in the colour of the line: %d with a gap, want one more than %d without", c, w)
	}
	if strings.Contains(whole, "unknown") || !strings.Contains(cut, "gap: unknown") {
		t.Error("the gap is to be named, and only where there is one")
	}
}

// lines counts the strokes in the first colour.
func lines(svg string) int { return strings.Count(svg, "fill:none;stroke:#0072B2;stroke-width:1.6") }

func TestSVG_MarksAtLeastAndEstimates(t *testing.T) {
	l := atLeast(line("", 1, 2, 3), 1)
	l.Points[2].Error = 0.008
	got := svg(t, chart.Chart{Title: "x", Lines: []chart.Line{l}})
	for _, want := range []string{"at least: nyc1-1 did not answer", "estimated, standard error 0.8 %"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func TestChart_MarksWhatIsNotOfAllThoughItIsNoBound(t *testing.T) {
	l := line("", 1, 2, 3)
	l.Points[1].Missing = []string{"nyc1-1"}
	c := chart.Chart{Title: "x", Lines: []chart.Line{l}}
	for form, got := range map[string]string{"SVG": svg(t, c), "text": text(t, c)} {
		if !strings.Contains(got, "not of all: nyc1-1 did not answer") {
			t.Errorf("%s does not say that nyc1-1 is not in it:\n%s", form, got)
		}
	}
}

func TestText_AtLeastThoughAllAnsweredIsSaidAsItIs(t *testing.T) {
	l := line("", 1, 2, 3)
	l.Points[0].AtLeast = true
	c := chart.Chart{Title: "Joins", Unit: "joins", Lines: []chart.Line{l}}
	if got, want := text(t, c), "+  at least: a relay's counters were first read within the step\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant %q at its end", got, want)
	}
	c.Lines[0] = atLeast(l, 1)
	if got, want := text(t, c), "+  at least: nyc1-1 did not answer, or a relay's counters were first read within the step\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant %q at its end", got, want)
	}
}

func TestSVG_IsWellFormedWhateverALabelHolds(t *testing.T) {
	c := chart.Chart{
		Title: "<script>alert(1)</script>\x1b[2J\u202e", Unit: "\x00bytes",
		Lines: []chart.Line{line("=cmd|'/c calc'!A1 &<\u202e\x1b]0;x\a", 1, 2), line("b", 2, 3)},
	}
	got := svg(t, c)
	for dec := xml.NewDecoder(strings.NewReader(got)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "script" {
			t.Error("a title became an element")
		}
	}
	for _, out := range []string{got, text(t, c)} {
		if strings.ContainsAny(out, "\x00\x1b\a\u202e") {
			t.Errorf("control or bidi characters came through: %q", out)
		}
	}
	if !strings.Contains(got, "<title>&lt;script&gt;") {
		t.Error("the picture has no name for screen readers")
	}
}

func TestSVG_EqualChartsAreEqualBytes(t *testing.T) {
	c := chart.Chart{Title: "x", Unit: "peers", Lines: []chart.Line{atLeast(line("a", 1, 2, unknown, 4), 0), line("b", 2, 2, 2, 2)}}
	first := svg(t, c)
	for range 5 {
		if again := svg(t, c); again != first {
			t.Fatal("drawn twice, it differs")
		}
	}
}

func TestPNG_HasTheSizeAndALineAndEqualBytes(t *testing.T) {
	var one, two bytes.Buffer
	c := chart.Chart{Title: "x", Unit: "peers", Lines: []chart.Line{line("", 1, 2, 3)}, Width: 400, Height: 200}
	for _, out := range []*bytes.Buffer{&one, &two} {
		if err := chart.PNG(out, c); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("drawn twice, it differs")
	}
	img, err := png.Decode(&one)
	if err != nil {
		t.Fatal(err)
	}
	if size := img.Bounds().Size(); size.X != 400 || size.Y != 200 {
		t.Errorf("size %v, want 400 by 200", size)
	}
	blue := 0
	for y := range 200 {
		for x := range 400 {
			if r, _, b, _ := img.At(x, y).RGBA(); b > r+0x5000 {
				blue++
			}
		}
	}
	if blue < 200 {
		t.Errorf("%d pixels are as blue as the line, want 200 and more", blue)
	}
	if _, white := img.At(0, 0).(color.RGBA); !white {
		t.Errorf("the colour model is %T", img.At(0, 0))
	}
}

func TestChart_WithoutAKnownValueIsAnErrorAndNoEmptyPicture(t *testing.T) {
	for name, c := range map[string]chart.Chart{
		"no line":     {Title: "x"},
		"no point":    {Title: "x", Lines: []chart.Line{{}}},
		"all unknown": {Title: "x", Lines: []chart.Line{line("", unknown, unknown)}},
	} {
		var out bytes.Buffer
		for form, draw := range map[string]func(io.Writer, chart.Chart) error{"svg": chart.SVG, "png": chart.PNG, "txt": chart.Text} {
			if err := draw(&out, c); !errors.Is(err, chart.ErrNothing) || out.Len() > 0 {
				t.Errorf("%s, %s: got %v and %d bytes, want ErrNothing and none", name, form, err, out.Len())
			}
		}
	}
}

func TestChart_OnePointAndHugeAndTinyValuesAreDrawn(t *testing.T) {
	for _, values := range [][]float64{{7}, {0}, {0, 0}, {1e18, 2e18}, {0.001, 0.002}} {
		for _, unit := range []string{"peers", "bytes", "seconds", "1"} {
			c := chart.Chart{Title: "x", Unit: unit, Lines: []chart.Line{line("", values...)}}
			if got := svg(t, c); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
				t.Errorf("%v %s: a number that is none", values, unit)
			}
			text(t, c)
		}
	}
}

func TestChart_MoreLinesThanCanBeToldApartIsAnError(t *testing.T) {
	c := chart.Chart{Title: "x"}
	for range chart.MaxLines + 1 {
		c.Lines = append(c.Lines, line("x", 1))
	}
	if err := chart.SVG(io.Discard, c); !errors.Is(err, chart.ErrTooMany) {
		t.Errorf("got %v, want ErrTooMany", err)
	}
	c.Lines = c.Lines[1:]
	svg(t, c)
}

func TestChart_DaysAreThoseOfThePlace(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := chart.Chart{Title: "x", Lines: []chart.Line{line("", 1, 2, 3, 4, 5, 6)}, Location: berlin}
	if got := svg(t, c); !strings.Contains(got, ">2026-11-01 to 2026-11-06, Europe/Berlin<") || !strings.Contains(got, ">Nov 2<") {
		t.Error("the axis does not name the place and its days")
	}
}
