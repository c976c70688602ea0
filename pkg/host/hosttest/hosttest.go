// Package hosttest is the suite that [host.Hosts] pass on every kind of box, and a box
// in memory for tests of what stands above.
package hosttest

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Box is a fresh box under test, on which nothing was installed. Runner and Tunnel
// reach every box that was made for the same test.
type Box struct {
	Machine fleet.Machine
	Runner  sshx.Runner
	Tunnel  sshx.Tunnel
	// Config is the text of a configuration with which the relay starts; other values
	// of reservations give other texts.
	Config func(reservations int) string
	// System and Keys are those of the host.Config; nil for a local box.
	System *host.System
	Keys   host.HostKeys
	// Kill ends the relay's process with SIGKILL and returns when it is gone.
	Kill func(t testing.TB)
}

// Run is the suite. Binary is a relay that runs on the boxes; its file may be longer
// than the program (the suite makes releases by appending to it). NewBox makes a box
// that goes when its test ends.
func Run(t *testing.T, binary string, newBox func(t testing.TB) Box) {
	for name, promise := range map[string]func(*testing.T, *rig){
		"a fresh box is a reading":              freshBox,
		"configure brings up a relay":           bringsUp,
		"a second configure writes nothing":     writesNothing,
		"another configuration restarts":        restarts,
		"a bad configuration is told, repaired": badConfig,
		"an upgrade keeps five releases":        keepsFive,
		"a dead daemon is a reading":            deadDaemon,
		"drain is seen":                         drains,
		"introduce restarts nothing":            introduces,
		"a census is carried once":              carries,
		"stop holds":                            stops,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			promise(t, newRig(t, binary, newBox))
		})
	}
}

// rig is one box, the Hosts over it, and a count of what they write.
type rig struct {
	Box
	hosts  *host.Hosts
	binary string
	newBox func(testing.TB) Box
	writes *atomic.Int64
}

const deadline = 30 * time.Second

func newRig(t *testing.T, binary string, newBox func(testing.TB) Box) *rig {
	r := &rig{Box: newBox(t), binary: binary, newBox: newBox, writes: new(atomic.Int64)}
	r.hosts = host.New(host.Config{
		Runner: &Counter{Runner: r.Runner, Writes: r.writes}, Tunnel: r.Tunnel,
		System: r.System, Keys: r.Keys, HealthyDeadline: deadline, Actor: "hosttest", Command: "test",
	})
	return r
}

// release is the n-th release: the binary with a few bytes behind it.
func (r *rig) release(t *testing.T, n int) fleet.Release {
	t.Helper()
	return Release(t, r.binary, n)
}

// Program makes the smallest file that says for which processor it is built; it is called
// relay. Boxes in memory need no more.
func Program(t testing.TB, processor elf.Machine) string {
	t.Helper()
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(processor), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phentsize: 56, Shentsize: 64,
	}
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Release makes the n-th variant of a program: another digest, the same program.
func Release(t testing.TB, program string, n int) fleet.Release {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, "\nrelease "+strconv.Itoa(n)+"\n"...)
	path := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	return fleet.Release{SHA256: hexDigest(data), Path: path}
}

func (r *rig) configure(t *testing.T, config string, rel fleet.Release) {
	t.Helper()
	if err := r.hosts.Configure(t.Context(), r.Machine, config, rel); err != nil {
		t.Fatalf("Configure: %v", err)
	}
}

func (r *rig) inspect(t *testing.T) fleet.Relay {
	t.Helper()
	got, err := r.hosts.Inspect(t.Context(), r.Machine)
	if err != nil {
		t.Fatalf("Inspect: %v", err)
	}
	return got
}

// eventually asks until ok, at most for the deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if ok() {
			tick.Stop()
			return
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			t.Fatalf("waited %s in vain: %s", deadline, what)
		case <-tick.C:
		}
	}
}
