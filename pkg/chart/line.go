package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/relayfleet/fleetctl/pkg/render"
)

// few is how many points a line may have for each to get a dot.
const few = 60

// addTo draws the runs of a line, dots where there is room and where a point stands
// alone, and a mark above each point whose truth may be larger.
func (l Line) addTo(p *plot.Plot, look draw.LineStyle, named bool) error {
	var dots, marks plotter.XYs
	for _, r := range l.runs() {
		points := make(plotter.XYs, len(r))
		for i, at := range r {
			points[i] = plotter.XY{X: seconds(at.At), Y: *at.Value}
			switch {
			case at.AtLeast, at.EitherWay():
				marks = append(marks, points[i])
			case len(r) == 1, len(l.Points) <= few:
				dots = append(dots, points[i])
			}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.LineStyle = look
		p.Add(line)
	}
	if err := scatter(p, look, draw.CircleGlyph{}, 2.2, dots); err != nil {
		return err
	}
	if err := scatter(p, look, draw.TriangleGlyph{}, 4, marks); err != nil {
		return err
	}
	if named {
		p.Legend.Add(render.SafeUpTo(l.Label, 40), sample(look))
	}
	return nil
}

// scatter draws a glyph at each point.
func scatter(p *plot.Plot, look draw.LineStyle, shape draw.GlyphDrawer, radius vg.Length, points plotter.XYs) error {
	if len(points) == 0 {
		return nil
	}
	s, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	s.GlyphStyle = draw.GlyphStyle{Color: look.Color, Radius: radius, Shape: shape}
	p.Add(s)
	return nil
}

// sample is a piece of a line for the legend.
type sample draw.LineStyle

var _ plot.Thumbnailer = sample{}

// Thumbnail is called by plot.
func (s sample) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(draw.LineStyle(s), c.Min.X, y, c.Max.X, y)
}

// mark is a glyph for the legend.
type mark struct{ shape draw.GlyphDrawer }

var _ plot.Thumbnailer = mark{}

// Thumbnail is called by plot.
func (m mark) Thumbnail(c *draw.Canvas) {
	if m.shape != nil {
		c.DrawGlyph(draw.GlyphStyle{Color: grey(0x33), Radius: 4, Shape: m.shape}, c.Center())
	}
}

// legend says what the marks mean. It stands above the data: the axis grows by its height.
func (c Chart) legend(p *plot.Plot) {
	f := c.flaws()
	if f.atLeast || f.without {
		p.Legend.Add(f.least(), mark{draw.TriangleGlyph{}})
	}
	if f.unknown {
		p.Legend.Add("gap: unknown", mark{})
	}
	if f.worst > 0 {
		p.Legend.Add(fmt.Sprintf("estimated, standard error %.2g %%", 100*f.worst), mark{})
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font = sans(10)
	p.Legend.XOffs, p.Legend.Padding = 8, 2
	_, height := c.size()
	high := p.Legend.Rectangle(draw.Canvas{}).Size().Y
	if share := float64(high / (height - 70)); share > 0 && share < 0.7 {
		p.Y.Max /= 1 - share
	}
}

// named puts the chart's name into an SVG, where a screen reader finds it, and names the
// fonts to take where there is no Liberation Sans.
func named(svg []byte, name string) []byte {
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	at := bytes.Index(svg, []byte("<svg"))
	if at < 0 {
		return svg
	}
	end := at + bytes.IndexByte(svg[at:], '>') + 1
	var title bytes.Buffer
	title.WriteString("\n<title>")
	_ = xml.EscapeText(&title, []byte(name)) // a buffer takes everything
	title.WriteString("</title>")
	return append(append(append([]byte{}, svg[:end]...), title.Bytes()...), svg[end:]...)
}
