package render

import "strings"

// Trend is the value of a [Fact] and how it came to be. On a terminal that can, a line
// of small bars stands behind the value; everywhere else it is the value alone.
type Trend struct {
	Value any
	Past  []*float64 // oldest first; nil is unknown and leaves a gap
}

// mostBars is how many bars a [Sparkline] has at most: of more values the newest are shown.
const mostBars = 48

// Sparkline draws values as small bars, the largest the highest, all from 0 on. What is
// unknown is a space, and a 0 the lowest bar. It is "" unless two values are known.
func Sparkline(values []*float64) string {
	values = values[max(0, len(values)-mostBars):]
	known, top := 0, 0.0
	for _, v := range values {
		if v != nil {
			known, top = known+1, max(top, *v)
		}
	}
	if known < 2 {
		return ""
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		switch {
		case v == nil:
			b.WriteByte(' ')
		case top <= 0 || *v <= 0:
			b.WriteRune(bars[0])
		default:
			b.WriteRune(bars[min(int(*v/top*float64(len(bars)-1)+0.5), len(bars)-1)])
		}
	}
	return b.String()
}

// Graphic decides whether a stream can show bars: a terminal that knows more than ASCII,
// as its locale says.
func Graphic(getenv func(string) string, terminal bool) bool {
	if !terminal || getenv("TERM") == "dumb" {
		return false
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}
