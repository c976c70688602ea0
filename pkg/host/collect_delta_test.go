package host_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/stats"
)

// following is a collector that goes on where it was.
type following struct {
	t    *testing.T
	read func(after string) stats.Reading
	told *telling
	at   string // cursor
}

// follow runs f in a bubble of time, for a box with a register of one peer.
func follow(t *testing.T, f func(*following)) {
	t.Helper()
	fake, box, m, _ := serving(t)
	put(t, fake, m, host.CensusFile, census("AAM=", 3, 1, 2))
	told := tells(t, box)
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: fake})
		f(&following{t: t, told: told, read: func(after string) stats.Reading { return h.Collect(t.Context(), m, after) }})
	})
}

// collect wants the keys, how many entries were left out, where it asked for the census
// from, and what the new cursor of that is.
func (f *following) collect(what, keys string, leftOut int, asked []string, cursor string) stats.Reading {
	f.t.Helper()
	f.told.set(func() { f.told.asked = nil })
	got := f.read(f.at)
	f.at = got.Cursor
	var from []string
	f.told.set(func() {
		for _, q := range f.told.asked {
			if rest, ok := strings.CutPrefix(q, "/api/census/delta"); ok {
				from = append(from, strings.TrimPrefix(rest, "?after="+life))
			}
		}
	})
	census, _, _ := strings.Cut(got.Cursor, "@")
	census, _, _ = strings.Cut(census, "~")
	if keysOf(got.Delta) != keys || got.LeftOut != leftOut || !slices.Equal(from, asked) || strings.TrimPrefix(census, life) != cursor {
		f.t.Errorf("%s: got %q, %d left out, asked from %q, cursor %q (%v); want %q, %d, %q, %q",
			what, keysOf(got.Delta), got.LeftOut, from, got.Cursor, got.Err, keys, leftOut, asked, cursor)
	}
	return got
}

func (f *following) pages(pages map[string]string) { f.told.set(func() { f.told.pages = pages }) }

func TestCollect_ADamagedPageIsNamedAndReadAgain(t *testing.T) {
	follow(t, func(f *following) {
		f.at = life + "-2"
		f.pages(map[string]string{
			life + "-2": page(t, false, life+"-3", true, "AAE=", "?"),
			life + "-3": page(t, false, life+"-4", false, "AAI="),
		})
		got := f.collect("damaged", "AAE= AAI=", 1, []string{"-2", "-3"}, "-2")
		if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, "1 of 2 entries are damaged") {
			t.Errorf("got warnings %q, want the damaged entry", said)
		}
		f.told.set(func() { f.told.pages[life+"-2"] = page(t, false, life+"-3", true, "AAE=", "AAM=") })
		f.collect("read again", "AAE= AAM= AAI=", 0, []string{"-2", "-3"}, "-4")
		f.told.set(func() { f.told.pages[life+"-4"] = page(t, false, life+"-4", false) })
		f.collect("nothing new", "", 0, []string{"-4"}, "-4")
		if strings.Contains(f.at, "~") {
			t.Errorf("cursor %q, want no mark of what was damaged", f.at)
		}
	})
}

func TestCollect_APageThatStaysDamagedGivesWayToAllFromTheBeginning(t *testing.T) {
	follow(t, func(f *following) {
		f.at = life + "-2"
		f.pages(map[string]string{
			"":          page(t, true, life+"-3", false, "AAE=", "AAI="),
			life + "-2": page(t, false, life+"-3", false, "?"),
			life + "-3": page(t, false, life+"-3", false),
		})
		f.collect("damaged", "", 1, []string{"-2"}, "-2")
		if got := f.collect("still damaged", "AAE= AAI=", 0, []string{"-2", ""}, "-3"); !got.DeltaFull {
			t.Error("got a part of the census, want all of it")
		}
		f.collect("nothing new", "", 0, []string{"-3"}, "-3")
	})
}

func TestCollect_WhatNeverMakesSenseIsLeftOutNamedAndReadAgainAfterADay(t *testing.T) {
	follow(t, func(f *following) {
		f.pages(map[string]string{
			"":          page(t, true, life+"-3", false, "AAE=", "?"),
			life + "-3": page(t, false, life+"-4", false, "AAI="),
			life + "-4": page(t, false, life+"-5", false, "?"),
			life + "-5": page(t, false, life+"-5", false),
		})
		f.collect("damaged", "AAE=", 1, []string{""}, "")
		f.collect("all again", "AAE=", 1, []string{"", ""}, "-3")
		got := f.collect("what is new", "AAI=", 1, []string{"-3"}, "-4")
		if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, "1 entries of its census made no sense when all of it was read last, 2000-01-01T00:00:00Z") {
			t.Errorf("got warnings %q, want those that are left out", said)
		}
		f.collect("another one", "", 2, []string{"-4"}, "-4")
		f.collect("it stays, on the same day", "", 2, []string{"-4"}, "-5")
		f.collect("both are left out", "", 2, []string{"-5"}, "-5")
		<-time.After(24 * time.Hour)
		f.collect("a day later", "AAE=", 1, []string{""}, "-3")
		f.told.set(func() { f.told.pages[""] = page(t, true, life+"-5", false, "AAE=", "AAI=") })
		f.collect("not before another day", "AAI=", 1, []string{"-3"}, "-4")
		<-time.After(24 * time.Hour)
		f.collect("it makes sense again", "AAE= AAI=", 0, []string{""}, "-5")
		f.collect("nothing new", "", 0, []string{"-5"}, "-5")
	})
}

func TestCollect_APageThatIsAlwaysCutOffGivesWayToTheRegister(t *testing.T) {
	follow(t, func(f *following) {
		f.at = life + "-2"
		cut := strings.TrimSuffix(page(t, false, life+"-3", false, "AAE="), "}\n")
		f.pages(map[string]string{"": cut, life + "-2": cut})
		f.collect("cut off", "AAE=", 0, []string{"-2"}, "-2")
		got := f.collect("again", "", 0, []string{"-2", ""}, "-2")
		if got.Delta != nil || len(got.Registry) != 1 || got.Err == nil {
			t.Errorf("got delta %v, register %v, %v; want the register, and why", got.Delta, got.Registry, got.Err)
		}
		f.collect("not again on the same day", "AAE=", 0, []string{"-2"}, "-2")
		<-time.After(24 * time.Hour)
		f.collect("a day later", "", 0, []string{"-2", ""}, "-2")
	})
}
