package web

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// The size of a chart, in its own units.
const (
	chartWidth, chartHeight = 460.0, 190.0
	chartLeft, chartRight   = 52.0, 8.0
	chartTop, chartBottom   = 10.0, 22.0
)

// chart is a metric over time, drawn and as a table.
type chart struct {
	ID      string // of its elements
	Title   string
	Latest  string
	Note    string
	Whole   string   // path of what is complete
	AtLeast string   // path of what is not of all: at least so much, or no bound
	Area    string   // path of the surface below both
	Dots    []dot    // points that no line leads to
	Lines   []grid   // horizontal, with their numbers
	Ticks   []grid   // times
	Rows    []period // the same as a table, the newest first
	Empty   bool
}

// dot is a lone point.
type dot struct{ X, Y float64 }

// grid is a line with what it stands for.
type grid struct {
	At     float64
	Label  string
	Anchor string // of a label below the chart: "start", "middle" or "end"
}

// period is a point in words.
type period struct{ At, Value, Note string }

func newChart(s stats.Series) chart {
	m, _ := stats.MetricOf(s.Metric)
	c := chart{ID: "chart-" + s.Metric, Title: m.Title, Latest: "unknown"}
	if c.Title == "" {
		c.Title = s.Metric
	}
	top, have := 0.0, 0
	for _, p := range s.Points {
		if p.Value != nil && !math.IsNaN(*p.Value) && !math.IsInf(*p.Value, 0) {
			top, have = math.Max(top, *p.Value), have+1
		}
	}
	if c.Empty = have == 0; c.Empty {
		return c
	}
	step, top := ticks(top)
	span := axis{from: s.Points[0].At, to: s.Points[len(s.Points)-1].At, top: top}
	for v := 0.0; v <= top+step/2; v += step {
		c.Lines = append(c.Lines, grid{At: span.y(v), Label: number(v)})
	}
	c.times(span)
	c.trace(s, span)
	for i := len(s.Points) - 1; i >= 0; i-- {
		p := s.Points[i]
		row := period{At: clock(p.At), Value: "unknown"}
		if p.Value != nil {
			row.Value, row.Note = number(*p.Value), qualified(p.Figure)
		}
		c.Rows = append(c.Rows, row)
	}
	c.newest(s)
	return c
}

// newest is the last point that is known, with its time where later ones are not.
func (c *chart) newest(s stats.Series) {
	for i := len(s.Points) - 1; i >= 0; i-- {
		if s.Points[i].Value == nil {
			continue
		}
		row := c.Rows[len(s.Points)-1-i]
		c.Latest, c.Note = row.Value, row.Note
		if i < len(s.Points)-1 {
			c.Note = strings.TrimPrefix(c.Note+"; ", "; ") + "at " + row.At
		}
		return
	}
}

// trace draws the points: a line through those that follow one another, broken where one
// is unknown, and another kind of line where the truth may be larger.
func (c *chart) trace(s stats.Series, span axis) {
	var whole, some, area strings.Builder
	for i := 0; i < len(s.Points); i++ {
		if s.Points[i].Value == nil {
			continue
		}
		begin := i
		for i+1 < len(s.Points) && s.Points[i+1].Value != nil {
			i++
		}
		if begin == i {
			c.Dots = append(c.Dots, dot{span.x(s.Points[i].At), span.y(*s.Points[i].Value)})
			continue
		}
		fmt.Fprintf(&area, "M%s %s", short(span.x(s.Points[begin].At)), short(span.y(0)))
		for j := begin; j <= i; j++ {
			fmt.Fprintf(&area, "L%s", span.point(s.Points[j]))
			if j == begin {
				continue
			}
			to := &whole
			if s.Points[j].AtLeast || s.Points[j].EitherWay() || s.Points[j-1].AtLeast || s.Points[j-1].EitherWay() {
				to = &some
			}
			fmt.Fprintf(to, "M%sL%s", span.point(s.Points[j-1]), span.point(s.Points[j]))
		}
		fmt.Fprintf(&area, "L%s %sZ", short(span.x(s.Points[i].At)), short(span.y(0)))
	}
	c.Whole, c.AtLeast, c.Area = whole.String(), some.String(), area.String()
}

// times marks a handful of times below the chart.
func (c *chart) times(span axis) {
	length := span.to.Sub(span.from)
	layout := "2 Jan"
	if length < 36*time.Hour {
		layout = "15:04"
	}
	const parts = 4
	last := ""
	for i := range parts + 1 {
		at := span.from.Add(length * time.Duration(i) / parts)
		if text := at.UTC().Format(layout); text != last {
			anchor := "middle"
			switch i {
			case 0:
				anchor = "start"
			case parts:
				anchor = "end"
			}
			c.Ticks = append(c.Ticks, grid{span.x(at), text, anchor})
			last = text
		}
	}
}

// axis turns times and numbers into units of the chart.
type axis struct {
	from, to time.Time
	top      float64
}

func (a axis) x(t time.Time) float64 {
	length := a.to.Sub(a.from)
	if length <= 0 {
		return chartWidth - chartRight
	}
	return chartLeft + (chartWidth-chartLeft-chartRight)*float64(t.Sub(a.from))/float64(length)
}

func (a axis) y(v float64) float64 {
	return chartHeight - chartBottom - (chartHeight-chartTop-chartBottom)*v/a.top
}

func (a axis) point(p stats.Point) string { return short(a.x(p.At)) + " " + short(a.y(*p.Value)) }

// short is a coordinate to a tenth.
func short(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// ticks are the distance of the lines and the uppermost one, for numbers up to most.
func ticks(most float64) (step, top float64) {
	if most <= 0 {
		return 1, 1
	}
	raw := most / 3
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step = 10 * unit
	for _, nice := range []float64{1, 2, 2.5, 5} {
		if raw <= nice*unit {
			step = nice * unit
			break
		}
	}
	if most >= 1 && step < 1 {
		step = 1 // peers are whole
	}
	return step, step * math.Ceil(most/step)
}
