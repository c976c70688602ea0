package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// PNG draws c as an image of Width by Height pixels.
func PNG(w io.Writer, c Chart) error {
	p, err := c.plot()
	if err != nil {
		return err
	}
	width, height := c.size()
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
	paint(draw.New(canvas), p)
	return write(w, vgimg.PngCanvas{Canvas: canvas})
}

// SVG draws c as a picture of Width by Height pixels that scales. Its text is text: it
// can be searched and read aloud.
func SVG(w io.Writer, c Chart) error {
	p, err := c.plot()
	if err != nil {
		return err
	}
	width, height := c.size()
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	paint(draw.New(canvas), p)
	var out bytes.Buffer
	if err := write(&out, canvas); err != nil {
		return err
	}
	_, err = w.Write(named(out.Bytes(), c.title()))
	return err
}

// dpi makes one pixel of a chart's size one of an image's, at 96 to the inch.
const dpi = 96

func (c Chart) size() (width, height vg.Length) {
	w, h := c.Width, c.Height
	if w == 0 {
		w = 960
	}
	if h == 0 {
		h = 420
	}
	return vg.Length(w) * vg.Inch / dpi, vg.Length(h) * vg.Inch / dpi
}

// paint draws p with a margin.
func paint(c draw.Canvas, p *plot.Plot) {
	c.SetColor(color.White)
	c.Fill(c.Path())
	p.Draw(draw.Crop(c, 6, -12, 4, -8))
}

func write(w io.Writer, canvas io.WriterTo) error {
	if _, err := canvas.WriteTo(w); err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	return nil
}

// plot is the chart without a canvas.
func (c Chart) plot() (*plot.Plot, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := c.frame()
	for i, l := range c.Lines {
		if err := l.addTo(p, style(i), len(c.Lines) > 1); err != nil {
			return nil, fmt.Errorf("chart: %w", err)
		}
	}
	c.legend(p)
	return p, nil
}

// frame is a plot with its head, axes and grid.
func (c Chart) frame() *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.Padding = c.title(), 10
	p.Title.TextStyle.Font = sans(13)
	from, to := c.span()
	p.X.Min, p.X.Max = seconds(from), seconds(to)
	if from.Equal(to) {
		p.X.Min, p.X.Max = p.X.Min-1800, p.X.Max+1800
	}
	values := valueTicks(c.most(), c.Unit)
	p.Y.Min, p.Y.Max = 0, values[len(values)-1].at
	p.X.Tick.Marker = ticks(timeTicks(from, to, c.location(), 9))
	p.Y.Tick.Marker = ticks(values)
	p.X.Label.Text = c.days(from, to)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Label.TextStyle.Font = sans(10), sans(9)
		axis.Tick.Length, axis.Width, axis.Tick.Width = 3, 0.5, 0.5
		axis.Color, axis.Tick.Color = grey(0x77), grey(0x77)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = grey(0xdd), nil
	grid.Horizontal.Width = 0.5
	p.Add(grid)
	return p
}

// days are those of a chart with their year, which ticks have no room for, and their zone.
func (c Chart) days(from, to time.Time) string {
	first, last := from.In(c.location()).Format(time.DateOnly), to.In(c.location()).Format(time.DateOnly)
	if first != last {
		first += " to " + last
	}
	return first + ", " + c.location().String()
}

func sans(size vg.Length) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size)
}

func grey(v uint8) color.Color { return color.Gray{Y: v} }

// ticks is a plot.Ticker of ticks that are there already.
type ticks []tick

var _ plot.Ticker = ticks(nil)

// Ticks is called by plot.
func (t ticks) Ticks(_, _ float64) []plot.Tick {
	out := make([]plot.Tick, len(t))
	for i, one := range t {
		out[i] = plot.Tick{Value: one.at, Label: one.label}
	}
	return out
}

// style of the n-th line: the colours of Okabe and Ito, which the colour-blind tell
// apart, and a dash of its own for who sees no colour.
func style(n int) draw.LineStyle {
	colours := [MaxLines]color.Color{
		color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
		color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
		color.RGBA{0x80, 0x74, 0x00, 0xff}, color.RGBA{0x00, 0x00, 0x00, 0xff},
	}
	dashes := [MaxLines][]vg.Length{nil, {6, 2}, {2, 2}, {8, 2, 2, 2}, {10, 3}, {4, 4}, {1, 2}, {12, 2, 2, 2, 2, 2}}
	return draw.LineStyle{Color: colours[n], Width: 1.6, Dashes: dashes[n]}
}
