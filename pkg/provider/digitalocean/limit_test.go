package digitalocean_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// Before a machine is given up, everything is looked at that its successor needs.
func TestReplace_WhatCannotBeOrderedMarksNoMachineOutgoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		must(t, "up", w, fleet.Intent{})
		w.spec.Ocean.SSHKeys = []string{"SHA256:" + strings.Repeat("a", 43)}
		if _, err := w.converge(t.Context(), fleet.Intent{Replace: []string{w.machineOf("nyc1-1")}}); err == nil || !strings.Contains(err.Error(), "no SSH key") {
			t.Errorf("got error %v, want it to name the key that the account does not have", err)
		}
		for _, d := range w.cloud.Droplets(token) {
			if phase := tagged(d.Tags, "phase:"); phase != "" {
				t.Errorf("droplet %s is %s, and nothing can follow it", d.Name, phase)
			}
		}
	})
}

// A refusal for the rate may ask for a minute. Wherever it comes, a command goes on after it.
func TestReplace_ARateThatIsUsedUpForAWhileIsWaitedFor(t *testing.T) {
	for _, nth := range []int{2, 5, 8, 11} { // of the lists of droplets
		synctest.Test(t, func(t *testing.T) {
			w := newLimitedWorld(t, dotest.Limits{})
			must(t, "up", w, fleet.Intent{})
			w.cloud.Fail(dotest.Fault{Method: http.MethodGet, Path: "/v2/droplets", Nth: nth, How: dotest.Busy, Retry: 55 * time.Second})
			began := time.Now()
			must(t, "replace", w, fleet.Intent{Replace: []string{w.machineOf("nyc1-1")}})
			if took := time.Since(began); took < 55*time.Second {
				t.Errorf("list %d: it was over after %s, so nothing was refused", nth, took)
			}
		})
	}
}

// A refusal for longer than is waited for is told as what it is.
func TestReplace_AnHourThatIsUsedUpIsNotTakenForAFleetThatIsNotListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLimitedWorld(t, dotest.Limits{})
		must(t, "up", w, fleet.Intent{})
		w.meet()
		b := w.backends()
		in := w.intent(fleet.Intent{Replace: []string{w.machineOf("nyc1-1")}})
		st, err := fleet.Observe(t.Context(), b, w.spec)
		if err != nil {
			t.Fatal(err)
		}
		plan := fleet.Diff(w.spec, st, in)
		w.watch = func(what string) {
			if strings.Contains(what, host.ImportFile) { // the census is carried: only the delete is left
				w.cloud.Fail(dotest.Fault{How: dotest.Exhausted, Times: -1})
			}
		}
		_, err = fleet.Converge(t.Context(), b, w.spec, in, st, plan, nil)
		if !errors.Is(err, fleet.ErrQuota) {
			t.Errorf("got error %v, want it to say that the rate is used up", err)
		}
	})
}
