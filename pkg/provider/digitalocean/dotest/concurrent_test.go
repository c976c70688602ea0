package dotest_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestCloud_ManyClientsAtOnceStayWithinTheDropletLimit(t *testing.T) {
	s := serve(t, dotest.Config{
		Accounts: []dotest.Account{{Token: "t", DropletLimit: 10}}, Limits: dotest.NoLimits(), Boxes: &shelf{},
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, refused := map[int]bool{}, 0
	for n := range 20 {
		g := s.client(t, "t")
		wg.Go(func() {
			req := order(fmt.Sprintf("n%d", n))
			req.Tags = []string{"all"}
			d, _, err := g.Droplets.Create(t.Context(), req)
			_, _, listErr := g.Droplets.ListByTag(t.Context(), "all", all())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status(err) == 422:
				refused++
			case err != nil:
				t.Errorf("create: %v", err)
			default:
				made[d.ID] = true
			}
			if listErr != nil {
				t.Errorf("list: %v", listErr)
			}
			s.Calls()
			s.Droplets("t")
		})
	}
	wg.Wait()
	if len(made) != 10 || refused != 10 {
		t.Errorf("got %d droplets with different IDs and %d refusals, want 10 and 10", len(made), refused)
	}
	if n := s.Calls()["POST /v2/droplets"]; n != 20 {
		t.Errorf("got %d creates counted, want 20", n)
	}
	s.ResetCalls()
	if n := len(s.Calls()) + len(s.Requests()); n != 0 {
		t.Errorf("after a reset: got %d calls, want none", n)
	}
	var errs []error
	for id := range made {
		wg.Go(func() {
			err := s.Vanish(t.Context(), id)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || len(s.Droplets("t")) != 0 {
		t.Errorf("got %d droplets left, %v; want none", len(s.Droplets("t")), err)
	}
}
