package local

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

func TestSupervisor_KilledIsReplacedAndTheRelayAdopted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	off := s.get(t, was.ID)
	if off.Status != fleet.StatusStopped || off.PID != was.PID {
		t.Errorf("without a supervisor: got %s with process %d, want stopped with %d", off.Status, off.PID, was.PID)
	}
	if got := echo(t, was.Ports.TCP, "hello"); got != "hello" {
		t.Errorf("relay without a supervisor: got %q, want an echo", got)
	}
	must(t, "Start", s.Start(t.Context(), was.ID))
	now := s.get(t, was.ID)
	if now.PID != was.PID || now.Ports != was.Ports || now.HostKey != was.HostKey || now.Status != fleet.StatusRunning {
		t.Errorf("adopted: got %+v, want %+v", now, was)
	}
	c := s.dial(t, now)
	mustRun(t, c, "systemctl", "stop", "relay.service")
	if got := property(t, c, "MainPID"); got != "0" {
		t.Errorf("after stop of an adopted relay: got process %s, want none", got)
	}
}

func TestSupervisor_AdoptsByTheLockWhenItsNotesAreLost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "lose the notes", os.Remove(filepath.Join(boxDir(s.dir, was.ID), boxsim.UnitFile)))
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != was.PID {
		t.Errorf("adopted: got process %d, want %d", now.PID, was.PID)
	}
}

func TestSupervisor_NeverTakesAnotherProcessForItsRelay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "kill the relay", syscall.Kill(was.PID, syscall.SIGKILL))
	path := filepath.Join(boxDir(s.dir, was.ID), boxsim.UnitFile)
	var st boxsim.UnitState
	must(t, "read the notes", boxsim.ReadJSON(path, &st))
	st.Proc.PID, st.Enabled = os.Getpid(), false // the number was given to somebody else: us
	must(t, "write the notes", boxsim.WriteJSON(path, st))
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != 0 {
		t.Errorf("got process %d for the relay, want none", now.PID)
	}
	must(t, "Delete", s.Delete(t.Context(), was.ID)) // and we live on
}

func TestSupervisor_StartsRelaysThatWereSwitchedOffWithTheComputer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "kill the relay", syscall.Kill(was.PID, syscall.SIGKILL))
	must(t, "Start", s.Start(t.Context(), was.ID))
	now := s.get(t, was.ID)
	if now.PID == 0 || now.PID == was.PID || now.Ports != was.Ports {
		t.Errorf("after the switch-off: got process %d, ports %v, want a new one on %v", now.PID, now.Ports, was.Ports)
	}
}

func TestSupervisor_TwoStartersGetOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pids := make([]int, 4)
	var g errgroup.Group
	for i := range pids {
		p := s.handle(t)
		g.Go(func() error {
			at, err := p.ensure(t.Context())
			pids[i] = at.Proc.PID
			return err
		})
	}
	must(t, "start", g.Wait())
	for _, pid := range pids {
		if pid != pids[0] {
			t.Errorf("supervisors: got %v, want one", pids)
		}
	}
	if got := processesOf(s.dir); len(got) != 1 {
		t.Errorf("processes: got %v, want one supervisor", got)
	}
}

func TestSupervisor_OpensASocketThatWasRemovedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	at, _, err := supervised(s.dir)
	must(t, "find the socket", err)
	must(t, "remove the socket", os.Remove(at.Socket))
	if got := s.get(t, m.ID); got.Status != fleet.StatusRunning {
		t.Errorf("after the socket was removed: got %s, want running", got.Status)
	}
}

func TestSupervisor_ThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, "make the directory", os.MkdirAll(s.dir, 0o700))
	must(t, "put a file in the way", os.WriteFile(filepath.Join(s.dir, boxesDir), nil, 0o600))
	err := s.EnsureKey(t.Context(), s.key)
	if err == nil || !strings.Contains(err.Error(), boxesDir) || fleet.Hint(err) == "" {
		t.Errorf("got error %v with hint %q, want one that names %s", err, fleet.Hint(err), boxesDir)
	}
	must(t, "clear the way", os.Remove(filepath.Join(s.dir, boxesDir)))
}

func TestSupervisor_FindsARelayThatWasStartedAndNotWrittenDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	was, _ := s.serving(t, "nyc1-1", 0)
	s.killSupervisor(t)
	must(t, "write the notes", boxsim.WriteJSON(filepath.Join(boxDir(s.dir, was.ID), boxsim.UnitFile), boxsim.UnitState{Active: boxsim.Activating}))
	must(t, "hide the lock", os.Remove(filepath.Join(was.Root, boxsim.LockPath)))
	must(t, "Start", s.Start(t.Context(), was.ID))
	if now := s.get(t, was.ID); now.PID != was.PID {
		t.Errorf("adopted: got process %d, want %d", now.PID, was.PID)
	}
}

func TestSupervisor_SweepsWhatWasHalfMadeAndHalfRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	s.killSupervisor(t)
	for _, name := range []string{newPrefix + "x", gonePrefix + "y"} {
		must(t, "half a box", os.MkdirAll(filepath.Join(boxDir(s.dir, name), boxsim.RootDir), 0o700))
	}
	must(t, "Start", s.Start(t.Context(), m.ID))
	entries, err := os.ReadDir(filepath.Join(s.dir, boxesDir))
	if err != nil || len(entries) != 1 || entries[0].Name() != m.ID {
		t.Errorf("boxes on disk: got %v, %v, want %s alone", entries, err, m.ID)
	}
}

func TestStart_PortOfSSHInUseNamesPortAndBox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.create(t, "nyc1-1", 0)
	s.killSupervisor(t)
	other, err := net.Listen("tcp", loopback(m.Ports.SSH))
	must(t, "take the port", err)
	err = s.Start(t.Context(), m.ID)
	if err == nil || !strings.Contains(err.Error(), m.ID) || !strings.Contains(err.Error(), strconv.Itoa(m.Ports.SSH)) || fleet.Hint(err) == "" {
		t.Errorf("Start: got error %v with hint %q, want the box, port %d and a hint", err, fleet.Hint(err), m.Ports.SSH)
	}
	if got := s.get(t, m.ID).Status; got != fleet.StatusStopped {
		t.Errorf("status: got %s, want stopped", got)
	}
	must(t, "free the port", other.Close())
	must(t, "Start", s.Start(t.Context(), m.ID))
	if now := s.get(t, m.ID); now.Status != fleet.StatusRunning || now.Ports != m.Ports {
		t.Errorf("after the port was freed: got %s on %v, want running on %v", now.Status, now.Ports, m.Ports)
	}
}
