package estimate

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

func key(n int) (k [32]byte) {
	binary.LittleEndian.PutUint64(k[:], uint64(n))
	return k
}

func set(salt Salt, from, to int) *Peers {
	p := New(salt)
	for i := from; i < to; i++ {
		p.Add(key(i))
	}
	return p
}

func TestFigure_IsWithinItsErrorAndSaysIt(t *testing.T) {
	if got := Error(); math.Abs(got-0.008125) > 1e-9 {
		t.Errorf("got an error of %v, want 0.008125", got)
	}
	for _, n := range []int{0, 1, 1000, 100_000} {
		f := set(Salt{1}, 0, n).Figure(nil, time.Unix(7, 0))
		if got, most := *f.Value, 4*Error()*float64(n); math.Abs(got-float64(n)) > most {
			t.Errorf("got %v, want %d with at most %v more or less", got, n, most)
		}
		if f.Exact() || f.Error != Error() || f.AtLeast || f.Missing == nil || f.Since.Time != time.Unix(7, 0) {
			t.Errorf("got %+v, want a figure that says what it is", f)
		}
	}
	f := set(Salt{1}, 0, 10).Figure([]string{"sgp1-1", "fra1-1"}, time.Time{})
	if !f.AtLeast || !slices.Equal(f.Missing, []string{"fra1-1", "sgp1-1"}) {
		t.Errorf("got %+v, want at least, and both named", f)
	}
}

func TestMerge_CountsAPeerOfBothOnce(t *testing.T) {
	a, b, both := set(Salt{1}, 0, 6_000), set(Salt{1}, 3_000, 9_000), set(Salt{1}, 0, 9_000)
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	if got, want := *a.Figure(nil, time.Time{}).Value, *both.Figure(nil, time.Time{}).Value; got != want {
		t.Errorf("got %v, want the %v of one set of all", got, want)
	}
	if err := a.Merge(set(Salt{2}, 0, 1)); err == nil {
		t.Error("sets with different salts were merged")
	}
}

// Who chooses keys cannot choose the figure.
func TestAdd_TheSaltDecides(t *testing.T) {
	var got []float64
	for salt := range byte(8) {
		got = append(got, *set(Salt{salt}, 0, 5_000).Figure(nil, time.Time{}).Value)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) < 4 {
		t.Errorf("got %v: the salt makes no difference", got)
	}
}

func TestOffered_FromAMillionPeersOn(t *testing.T) {
	if Offered(999_999) || !Offered(1_000_000) {
		t.Errorf("offered below %d, or not from there on", From)
	}
}

// BenchmarkAdd says what a million peers cost, and how far off the estimate is.
func BenchmarkAdd(b *testing.B) {
	const n = 1_000_000
	var f stats.Figure
	for b.Loop() {
		f = set(Salt{1}, 0, n).Figure(nil, time.Time{})
	}
	b.ReportMetric(100*(*f.Value-n)/n, "%-off")
	b.ReportMetric(100*f.Error, "%-stated")
}

func TestCounter_IsExactBelowAMillion(t *testing.T) {
	c := NewCounter(Salt{1})
	for i := range 1000 {
		c.Add(key(i))
		c.Add(key(i / 2))
	}
	if f := c.Figure([]string{"a-1"}, time.Time{}); !f.Exact() || *f.Value != 1000 || !f.AtLeast {
		t.Errorf("got %+v, want exactly 1000 or more", f)
	}
	if c.from != From {
		t.Errorf("it estimates from %d on, want %d", c.from, From)
	}
	const from = 10_000 // stands for a million
	c.from = from
	for i := range from - 1 {
		c.Add(key(i))
	}
	if f := c.Figure(nil, time.Time{}); !f.Exact() || *f.Value != from-1 {
		t.Errorf("got %v ± %v, want exactly %d", *f.Value, f.Error, from-1)
	}
	c.Add(key(from))
	if f := c.Figure(nil, time.Time{}); f.Error != Error() || math.Abs(*f.Value-from) > 4*Error()*from {
		t.Errorf("got %v ± %v, want an estimate of %d", *f.Value, f.Error, from)
	}
}
