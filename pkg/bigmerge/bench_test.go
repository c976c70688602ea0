package bigmerge

import (
	"encoding/binary"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// Ten million rows, a third at each of three relays, of which neighbours share so many.
const (
	manyRows = 10_000_000
	perRelay = manyRows / 3
)

// eachRow gives the keys of all rows, relay by relay.
func eachRow(shared int, begin func(), add func([32]byte)) {
	for relay := range 3 {
		begin()
		for i := range perRelay {
			add(keyOf(relay*(perRelay-shared) + i))
		}
	}
}

// keyOf spreads a number over a key, as random as public keys are.
func keyOf(n int) (key [32]byte) {
	x := uint64(n)
	for i := 0; i < 32; i += 8 {
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.BigEndian.PutUint64(key[i:], z^z>>31)
	}
	return key
}

// heap is the memory of objects, dead ones that were not collected too.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// processor is the time that the process used of it.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// memory of a merge: what lives at its end, and the most there was.
type memory struct {
	before, peak uint64
	rows         int
	used         time.Duration // of the processor, before
}

func watch() *memory {
	runtime.GC()
	return &memory{before: heap(), used: processor()}
}

func (m *memory) row() {
	if m.rows++; m.rows%50_000 == 0 {
		m.peak = max(m.peak, heap()-m.before)
	}
}

// report says what lives; the caller keeps the result alive.
func (m *memory) report(b *testing.B, peers int) {
	m.peak = max(m.peak, heap()-m.before)
	b.ReportMetric((processor() - m.used).Seconds(), "cpu-s")
	runtime.GC()
	b.ReportMetric(float64(heap()-m.before)/float64(peers), "live-B/peer")
	b.ReportMetric(float64(m.peak)/1e6, "peak-MB")
}

func BenchmarkMerge10M(b *testing.B) {
	for _, c := range []struct {
		name   string
		shared int
	}{{"none-shared", 0}, {"half-shared", perRelay / 2}} {
		b.Run(c.name, func(b *testing.B) {
			b.Run("map", func(b *testing.B) { benchmarkMap(b, c.shared) })
			b.Run("memory", func(b *testing.B) { benchmarkMerger(b, c.shared, 4<<30) })
			b.Run("disk", func(b *testing.B) { benchmarkMerger(b, c.shared, 128<<20) })
		})
	}
}

// benchmarkMap is what one would write: it knows who was there, and nothing else.
func benchmarkMap(b *testing.B, shared int) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m := watch()
		b.StartTimer()
		set := make(map[[32]byte]struct{})
		eachRow(shared, func() {}, func(key [32]byte) {
			set[key] = struct{}{}
			m.row()
		})
		b.StopTimer()
		m.report(b, len(set))
		runtime.KeepAlive(set)
		b.StartTimer()
	}
}

func benchmarkMerger(b *testing.B, shared int, memory int64) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m := watch()
		b.StartTimer()
		merger := New(Options{Dir: b.TempDir(), Memory: memory})
		eachRow(shared, merger.Begin, func(key [32]byte) {
			if err := merger.Add(key, 1_700_000_000, 1_750_000_000); err != nil {
				b.Fatal(err)
			}
			m.row()
		})
		got, err := merger.Result(b.Context(), now, nil)
		if want := uint64(3*perRelay - 2*shared); err != nil || got.Peers != want {
			b.Fatalf("got %d peers and %v, want %d", got.Peers, err, want)
		}
		b.StopTimer()
		m.report(b, int(got.Peers))
		b.ReportMetric(float64(got.Spilled)/1e6, "disk-MB")
		if err := merger.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
