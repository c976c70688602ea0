package host_test

import (
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

var errKilled = errors.New("fleetctl was killed")

// cut returns Hosts of a run that makes n writes and then no more.
func cut(fake *hosttest.Fake, n int64) (*host.Hosts, *atomic.Int64) {
	writes := new(atomic.Int64)
	return host.New(host.Config{Tunnel: fake, Runner: &hosttest.Counter{Runner: fake, Writes: writes, Cut: func(at int64) error {
		if at > n {
			return errKilled
		}
		return nil
	}}}), writes
}

// settled reports whether fleetctl would leave the box alone: what a plan is made of.
func settled(r fleet.Relay, config, sha256 string) bool {
	return r.Installed && r.Active && r.Ready && r.Config == config && r.SHA256 == sha256
}

// A run that ends after any write leaves a box that shows what is missing, and the
// next run does exactly that: the relay runs with the wanted binary and configuration,
// and was restarted once.
func TestConfigure_CutOffAfterAnyWriteIsFinishedByTheNext(t *testing.T) {
	binary := hosttest.Program(t, elf.EM_X86_64)
	first, second := hosttest.Release(t, binary, 1), hosttest.Release(t, binary, 2)
	for _, c := range []struct {
		name   string
		config string
		rel    fleet.Release
	}{
		{"configuration", config(65), fleet.Release{}},
		{"binary", config(64), second},
		{"both", config(65), second},
	} {
		for n := int64(0); ; n++ {
			done := false
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) {
				fake := hosttest.NewFake()
				m := machine(22)
				box := fake.Box(addr(m))
				whole := host.New(host.Config{Runner: fake, Tunnel: fake})
				if err := whole.Configure(t.Context(), m, config(64), first); err != nil {
					t.Fatal(err)
				}
				want := first.SHA256
				if c.rel.SHA256 != "" {
					want = c.rel.SHA256
				}
				killed, _ := cut(fake, n)
				err := killed.Configure(t.Context(), m, c.config, c.rel)
				done = err == nil
				before, err := whole.Inspect(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				restarted := box.Started() == 2
				if settled(before, c.config, want) != restarted {
					t.Fatalf("after %d writes: restarted is %t, and Inspect shows %+v", n, restarted, before)
				}
				if !before.Restarted.IsZero() && !restarted {
					t.Errorf("after %d writes: Restarted = %s, and there was no restart", n, before.Restarted)
				}
				if err := whole.Configure(t.Context(), m, c.config, c.rel); err != nil {
					t.Fatal(err)
				}
				after, err := whole.Inspect(t.Context(), m)
				if err != nil || !settled(after, c.config, want) {
					t.Errorf("after the next run: %+v, %v; want it settled", after, err)
				}
				if got := box.Started(); got != 2 {
					t.Errorf("the relay was started %d times, want 2", got)
				}
			})
			if done || n > 40 {
				break
			}
		}
	}
}

// The first installation, cut off after any write.
func TestConfigure_FirstCutOffAfterAnyWriteIsFinishedByTheNext(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := range int64(40) {
		fake := hosttest.NewFake()
		m := machine(22)
		killed, _ := cut(fake, n)
		done := killed.Configure(t.Context(), m, config(64), rel) == nil
		whole := host.New(host.Config{Runner: fake, Tunnel: fake})
		if err := whole.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatalf("after %d writes: %v", n, err)
		}
		after, err := whole.Inspect(t.Context(), m)
		if err != nil || !settled(after, config(64), rel.SHA256) || fake.Box(addr(m)).Started() != 1 {
			t.Errorf("after %d writes and the next run: %+v, %v; want it settled and started once", n, after, err)
		}
		if done {
			return
		}
	}
	t.Error("Configure never ended")
}

// A census on its way, cut off after any write, arrives once.
func TestCarryCensus_CutOffAfterAnyWriteArrivesOnce(t *testing.T) {
	for n := range int64(10) {
		fake := hosttest.NewFake()
		from, to := machine(1), machine(2)
		put(t, fake, from, host.CensusFile, census("AAE=", 3, 1, 2))
		killed, _ := cut(fake, n)
		done := killed.CarryCensus(t.Context(), from, to) == nil
		taken := 0
		if fake.Box(addr(to)).TakeImport() {
			taken++
		}
		whole, writes := cut(fake, 100)
		if err := whole.CarryCensus(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
		if fake.Box(addr(to)).TakeImport() {
			taken++
		}
		if taken != 1 {
			t.Errorf("cut after %d writes, %d more: the daemon got %d imports, want 1", n, writes.Load(), taken)
		}
		if done {
			return
		}
	}
}

func put(t *testing.T, fake *hosttest.Fake, m fleet.Machine, path, text string) {
	t.Helper()
	if err := fake.WriteFile(t.Context(), target(t, m), path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func target(t *testing.T, m fleet.Machine) sshx.Target {
	t.Helper()
	at, err := host.Target(m)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func census(key string, count, first, last int64) string {
	return fmt.Sprintf(`[{"peer_pubkey":%q,"last_peer_id":"","first_seen_at":%d,"last_seen_at":%d,"tier":"edge","address_type":"other","connection_count":%d,"later":"kept"}]`, key, first, last, count)
}

// contract.md section 7, row 15: there was no upgrade and no way back.
func TestContract15_AnUpgradeCanBeTakenBackWithoutSendingAnything(t *testing.T) {
	fake := hosttest.NewFake()
	m, binary := machine(22), hosttest.Program(t, elf.EM_X86_64)
	h := host.New(host.Config{Runner: fake, Tunnel: fake})
	first := hosttest.Release(t, binary, 1)
	for _, rel := range []fleet.Release{first, hosttest.Release(t, binary, 2), {SHA256: first.SHA256}} {
		if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := h.Inspect(t.Context(), m); err != nil || !settled(got, config(64), first.SHA256) {
		t.Errorf("Inspect = %+v, %v; want the first release back", got, err)
	}
	err := h.Configure(t.Context(), m, config(64), fleet.Release{SHA256: textSHA("gone")})
	if err == nil || !strings.Contains(err.Error(), "not on the box") {
		t.Errorf("Configure with a release that is nowhere = %v, want that it is not on the box", err)
	}
}

func textSHA(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
