package cloudflare_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// slowly has a name server learn of what is added after a while, of what goes at once.
func slowly(after time.Duration) func(cftest.Change) time.Duration {
	return func(c cftest.Change) time.Duration {
		if c.Gone {
			return 0
		}
		return after
	}
}

// deaf has name servers say nothing.
func (r *rig) deaf(silent func(server string) bool) func(*cloudflare.Config) {
	return func(c *cloudflare.Config) {
		c.Resolve = func(ctx context.Context, server, name string) ([]string, error) {
			if silent(server) {
				return nil, fmt.Errorf("ask %s: timeout", server)
			}
			return r.resolve(ctx, server, name)
		}
	}
}

func TestApply_WaitsUntilEveryNameServerHasWhatReplaces(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := replaced(t, r)
		r.Delay(1, slowly(20*time.Second))
		if err := converge(t.Context(), r.zone(nil), want); err != nil {
			t.Fatal(err)
		}
		r.neverFewer(t, 4)
	})
}

func TestApply_WithANameServerThatIsBehindRemovesNothing(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := replaced(t, r)
		r.Hold(1)
		err := converge(t.Context(), r.zone(nil), want)
		wantErr(t, "Apply", err, dnsaddr.ErrNotSeen, "bob.ns.cloudflare.example:53 lacks", "nothing was removed", "run the same command again")
		if got := len(r.values()); got != 7 {
			t.Errorf("got %d texts in the zone, want 7: three old, three new, the stranger's", got)
		}
		// The next process finds the adds made, and waits for them all the same.
		err = converge(t.Context(), r.zone(nil), want)
		wantErr(t, "the next Apply", err, dnsaddr.ErrNotSeen)
		r.Release(1)
		r.finished(t, want)
		r.neverFewer(t, 4)
	})
}

// A network may close port 53: then what was added may still be on its way to every name
// server when something is to be removed.
func TestApply_WaitsAMinuteAndListsAgainWhereANameServerSaysNothing(t *testing.T) {
	for name, silent := range map[string]func(server string) bool{
		"all of them": func(string) bool { return true },
		"one of two":  func(server string) bool { return strings.HasPrefix(server, "bob") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
				want := replaced(t, r)
				r.Delay(0, slowly(30*time.Second))
				r.Delay(1, slowly(30*time.Second))
				var written []time.Time
				r.Around(func(_ int, q *http.Request, commit func()) bool {
					commit()
					if q.Method == http.MethodPost {
						written = append(written, time.Now())
					}
					return true
				})
				if err := converge(t.Context(), r.zone(r.deaf(silent)), want); err != nil {
					t.Fatal(err)
				}
				if len(written) != 2 || written[1].Sub(written[0]) < time.Minute {
					t.Errorf("got writes at %v, want adds, and deletes a minute later", written)
				}
				if got := r.Calls()[listCall]; got != 4 {
					t.Errorf("got %d lists, want 4: to plan, to write, to read back, and once more before the deletes", got)
				}
				for _, words := range []string{"says nothing", "waiting before anything is removed"} {
					if !strings.Contains(r.log.String(), words) {
						t.Errorf("got log %s, want %q in it", r.log, words)
					}
				}
				r.finished(t, want)
				r.neverFewer(t, 4)
			})
		})
	}
}

// A name server that was seen to lack something and falls silent lacks it, as far as
// anybody knows.
func TestApply_WhatANameServerLackedItLacksInItsSilence(t *testing.T) {
	bubble(t, cftest.Config{}, func(t *testing.T, r *rig) {
		want := replaced(t, r)
		r.Hold(1)
		var asked atomic.Int32
		err := converge(t.Context(), r.zone(r.deaf(func(server string) bool {
			return strings.HasPrefix(server, "bob") && asked.Add(1) > 1
		})), want)
		wantErr(t, "Apply", err, dnsaddr.ErrNotSeen, "bob.ns.cloudflare.example:53 lacks", "nothing was removed")
		r.Release(1)
		r.finished(t, want)
		r.neverFewer(t, 4)
	})
}
