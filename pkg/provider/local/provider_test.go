package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

func TestProvider_TwoFleetsShareNothing(t *testing.T) {
	t.Parallel()
	one, two := newSite(t), newSite(t)
	a, _ := one.serving(t, "nyc1-1", 0)
	b, _ := two.serving(t, "nyc1-1", 0)
	ports := map[int]bool{}
	for _, p := range []fleet.Ports{a.Ports, b.Ports} {
		for _, port := range []int{p.SSH, p.TCP, p.QUIC, p.WS, p.API} {
			if ports[port] || port < firstPort || port > lastPort {
				t.Errorf("port %d is used twice or out of range: %v, %v", port, a.Ports, b.Ports)
			}
			ports[port] = true
		}
	}
	must(t, "Delete", one.Delete(t.Context(), a.ID))
	must(t, "Cleanup", one.Cleanup(t.Context()))
	if got := two.get(t, b.ID); got.PID != b.PID || got.Status != fleet.StatusRunning {
		t.Errorf("the other fleet: got %+v, want %+v", got, b)
	}
}

func TestPorts_OfABoxThatIsOffAreNotGivenAway(t *testing.T) {
	t.Parallel()
	one, two := newSite(t), newSite(t)
	a := one.create(t, "nyc1-1", 0)
	one.killSupervisor(t)
	dir, err := runtimeDir()
	must(t, "directory of sockets", err)
	err = withPorts(t.Context(), dir, boxDir(one.dir, a.ID)+"-other", 5, nil, func(ports []int) error {
		for _, p := range ports {
			if p >= a.Ports.SSH && p <= a.Ports.API {
				t.Errorf("port %d was promised to %s", p, a.ID)
			}
		}
		return os.ErrClosed
	})
	if err == nil {
		t.Error("withPorts: got no error, want that of its function")
	}
	_ = two
}

func TestDelete_TakesWhatIsHalfDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "half delete", os.Remove(filepath.Join(boxDir(s.dir, m.ID), machineFile)))
	if ms, err := s.Machines(t.Context()); err != nil || len(ms) != 0 {
		t.Errorf("half a box: got %v, %v, want it not listed", ms, err)
	}
	left, err := s.Leftovers(t.Context())
	if err != nil || !strings.Contains(fmt.Sprint(left), m.ID) {
		t.Errorf("leftovers: got %q, %v, want half a box", left, err)
	}
	must(t, "Cleanup", s.Cleanup(t.Context()))
	if got := processesOf(s.dir); len(got) != 0 {
		t.Errorf("processes after Cleanup: %v", got)
	}
}

func TestMachines_DamagedBoxIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	path := filepath.Join(boxDir(s.dir, m.ID), machineFile)
	good, err := os.ReadFile(path)
	must(t, "read", err)
	must(t, "damage", os.WriteFile(path, good[:len(good)/2], 0o600))
	if ms, err := s.Machines(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged box: got %v, %v, want an error that names the file", ms, err)
	}
	must(t, "repair", os.WriteFile(path, good, 0o600))
}

func TestCleanup_KeepsWhatOthersNeed(t *testing.T) {
	t.Parallel()
	kept := true
	s := newSite(t, func(c *Config) { c.KeepDir = func() (bool, string) { return kept, "records of others" } })
	m := s.create(t, "nyc1-1", 0)
	must(t, "Delete", s.Delete(t.Context(), m.ID))
	zone := filepath.Join(s.dir, "zone.json")
	must(t, "zone file", os.WriteFile(zone, []byte("{}"), 0o600))
	must(t, "Cleanup", s.Cleanup(t.Context()))
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 1 {
		t.Errorf("what is left: got %v, %v, want the zone file alone", entries, err)
	}
	if left, err := s.Leftovers(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("leftovers: got %q, %v, want none", left, err)
	}
	kept = false
}

func TestCreate_ThatFailsLeavesNothingHalfMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, "EnsureKey", s.EnsureKey(t.Context(), s.key))
	inTheWay := boxDir(s.dir, "nyc1-1-op1")
	must(t, "put something in the way", os.MkdirAll(filepath.Join(inTheWay, "something"), 0o700))
	_, err := s.Create(t.Context(), fleet.NewMachine{Node: "nyc1-1", Region: "nyc1", Op: "OP1"})
	if err == nil || !strings.Contains(err.Error(), "nyc1-1") {
		t.Errorf("Create: got error %v, want one that names the machine", err)
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, boxesDir))
	if err != nil || len(entries) != 1 {
		t.Errorf("boxes on disk: got %v, %v, want what was in the way alone", entries, err)
	}
}

func TestProvider_ReadingAnAbsentFleetMakesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if ms, err := s.Machines(t.Context()); err != nil || len(ms) != 0 {
		t.Errorf("Machines: got %v, %v, want none", ms, err)
	}
	must(t, "Delete", s.Delete(t.Context(), "nyc1-1-x"))
	must(t, "Cleanup", s.Cleanup(t.Context()))
	if _, err := os.Lstat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the fleet's directory: got %v, want it not made", err)
	}
}
