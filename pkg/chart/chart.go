// Package chart draws figures over time: as SVG and PNG for a page or a report, and as
// text for a terminal.
//
// A chart tells no more than its points do. Where a value is unknown, and where a point
// is missing, there is a gap: nothing is drawn at 0 and nothing is joined across it. A
// point whose truth may be larger, because somebody did not answer or was first read within
// its step, is marked, and so is
// a chart of estimates. Equal charts give equal bytes.
//
// It is the only package that knows how to draw; it reads no clock and no file.
package chart

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// Chart is what is drawn. The zero value has no line and is an error to draw.
type Chart struct {
	Title    string
	Unit     string         // of the values: "peers", "bytes", "seconds", "1" for none
	Lines    []Line         // each in a colour and a dash of its own; see [MaxLines]
	Location *time.Location // of the days and hours below the chart; nil is UTC
	Width    int            // of SVG and PNG in pixels, of text in columns; 0 is 960 and 72
	Height   int            // likewise in pixels and rows; 0 is 420 and 10
}

// Line is one series of a chart.
type Line struct {
	Label  string        // what it is split by: "nyc1"; "" where there is one line
	Step   time.Duration // between points: what is farther apart is not joined; 0 joins all
	Points []stats.Point // by time
}

// MaxLines is how many lines can be told from each other.
const MaxLines = 8

// ErrNothing means that a chart has no point with a known value.
var ErrNothing = errors.New("there is nothing to draw: no value is known")

// check refuses what cannot be drawn.
func (c Chart) check() error {
	if len(c.Lines) > MaxLines {
		return ErrTooMany
	}
	for _, l := range c.Lines {
		if len(l.runs()) > 0 {
			return nil
		}
	}
	return ErrNothing
}

// ErrTooMany means that a chart has more lines than can be told from each other.
var ErrTooMany = errors.New("more lines than can be told from each other")

// run is known points that follow each other.
type run []stats.Point

// runs cuts a line at what is unknown and at what is missing.
func (l Line) runs() []run {
	var all []run
	var now run
	cut := func() {
		if len(now) > 0 {
			all, now = append(all, now), nil
		}
	}
	for _, p := range l.Points {
		if p.Value == nil {
			cut()
			continue
		}
		if len(now) > 0 && l.apart(now[len(now)-1], p) {
			cut()
		}
		now = append(now, p)
	}
	cut()
	return all
}

// apart reports whether a point is missing between two. A calendar step may be an hour
// longer than it says, and a month three days.
func (l Line) apart(a, b stats.Point) bool {
	return l.Step > 0 && b.At.Sub(a.At) >= l.Step+l.Step/2
}

// span is the time from the first point to the last, known or not.
func (c Chart) span() (from, to time.Time) {
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if from.IsZero() || p.At.Before(from) {
				from = p.At
			}
			if to.IsZero() || p.At.After(to) {
				to = p.At
			}
		}
	}
	return from, to
}

// most is the largest known value, and 0 if all are below.
func (c Chart) most() float64 {
	var most float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if p.Value != nil {
				most = max(most, *p.Value)
			}
		}
	}
	return most
}

// flaws are what has to be said about some of the points.
type flaws struct {
	unknown, atLeast bool
	without          bool     // a part is missing, and the point is no bound
	silent           []string // nodes whose part is missing of a point that is known, sorted
	began            bool     // nobody's part is missing of a point that is at least
	worst            float64  // the largest error of an estimate; 0: all are exact
}

// least says what the mark of such a point means.
func (f flaws) least() string {
	before := "at least: "
	if !f.atLeast {
		before = "not of all: "
	}
	var why []string
	if len(f.silent) > 0 {
		why = append(why, render.Names(f.silent, 4)+" did not answer")
	}
	if f.began {
		why = append(why, "a relay's counters were first read within the step")
	}
	return before + strings.Join(why, ", or ")
}

func (c Chart) flaws() flaws {
	var f flaws
	silent := make(map[string]bool)
	for _, l := range c.Lines {
		for i, p := range l.Points {
			f.unknown = f.unknown || p.Value == nil || i > 0 && l.apart(l.Points[i-1], p)
			if p.Value != nil && (p.AtLeast || p.EitherWay()) {
				f.atLeast, f.without = f.atLeast || p.AtLeast, f.without || p.EitherWay()
				f.began = f.began || len(p.Missing) == 0
				for _, node := range p.Missing {
					silent[node] = true
				}
			}
			f.worst = max(f.worst, p.Error)
		}
	}
	f.silent = slices.Sorted(maps.Keys(silent))
	return f
}

func (c Chart) location() *time.Location { return cmp.Or(c.Location, time.UTC) }

// title is the head of the chart with the unit.
func (c Chart) title() string {
	title := render.Safe(c.Title)
	if unit := render.Safe(c.Unit); unit != "" && unit != "1" {
		title += " (" + unit + ")"
	}
	return title
}
