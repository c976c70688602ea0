package stats

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"
)

func TestPeers_TakesTheMemoryThatItSays(t *testing.T) {
	if got := unsafe.Sizeof(Sight{}); got != 52 {
		t.Errorf("a sight: got %d bytes, want 52", got)
	}
	if got := pieceSights * 52; got != 425_984 {
		t.Errorf("a piece of sights: got %d bytes", got)
	}
	if got := pieceSlots * 8; got != 32_768 {
		t.Errorf("a piece of slots: got %d bytes", got)
	}
	var before, after runtime.MemStats
	const n = 200_000
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := NewPeers(nil)
	p.Begin()
	for i := range n {
		p.Add([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, 1, 2)
		if all := len(p.slots) * pieceSlots; p.size > all*81/100 || p.size > 10*pieceSlots && p.size < all*63/100 {
			t.Fatalf("%d of %d slots are taken", p.size, all)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := float64(after.HeapAlloc-before.HeapAlloc) / n; got > SightBytes+2 {
		t.Errorf("got %.1f bytes a peer, want at most %d and a piece", got, SightBytes)
	}
	if p.Len() != n {
		t.Errorf("got %d peers, want %d", p.Len(), n)
	}
}

func TestPeers_DrainGivesAllInOrderAndBeginsAgain(t *testing.T) {
	p := NewPeers([][32]byte{{7}})
	for range 2 {
		p.Begin()
		for i := range 30_000 {
			p.Add([32]byte{byte(i * 7), byte(i >> 8)}, int64(i), int64(i+1))
		}
		n, last := 0, [32]byte{}
		want := p.Len()
		err := p.Drain(func(s *Sight) error {
			if n > 0 && string(s.Key[:]) <= string(last[:]) || s.Relays != 1 {
				t.Fatalf("%x after %x at %d relays", s.Key, last, s.Relays)
			}
			n, last = n+1, s.Key
			return nil
		})
		if err != nil || n != want || p.Len() != 0 {
			t.Errorf("got %d peers, %d left and %v, want %d and none", n, p.Len(), err, want)
		}
	}
	stop := errors.New("stop")
	p.Begin()
	p.Add([32]byte{1}, 1, 2)
	if err := p.Drain(func(*Sight) error { return stop }); !errors.Is(err, stop) || p.Len() != 0 {
		t.Errorf("got %v and %d peers, want the caller's error and none", err, p.Len())
	}
}
