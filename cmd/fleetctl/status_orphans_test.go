package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// Peer IDs of nobody.
const (
	peerOne = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
	peerTwo = "12D3KooWGzBvkBHmyTnCqKFgnwZvB8oeSLmL9uYjhVvRyhLWBYcG"
)

// strayFleet is a fleet of one node as the spec wants it: a machine, its relay, its record.
func strayFleet(t *testing.T) (fleet.Spec, fleet.State) {
	t.Helper()
	spec, err := fleet.Load([]byte("name: blue\nnodes: [{region: nyc1}]\nrelay: {network: /blue}\ndns: {domain: p2p.blue.test}\n"), "fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	st := fleet.State{At: time.Now(), Relays: map[string]fleet.Observed[fleet.Relay]{}, Probes: map[dnsaddr.Addr]fleet.Observed[fleet.Probe]{}}
	withMachine(&st, fleet.Machine{ID: "m1", Node: "nyc1-1", Region: "nyc1", Op: "01"}, peerOne)
	withRecord(t, &st, "nyc1-1", peerOne, fleet.Serving)
	return spec, st
}

func withMachine(st *fleet.State, m fleet.Machine, peer string) {
	m.Fleet, m.Status, m.Created = "blue", fleet.StatusRunning, time.Now()
	st.Machines.Value = append(st.Machines.Value, m)
	st.Relays[m.ID] = fleet.Observed[fleet.Relay]{Value: fleet.Relay{Installed: true, Active: true, Ready: true, PeerID: peer}}
}

func withRecord(t *testing.T, st *fleet.State, node, peer string, verdict fleet.Verdict) {
	t.Helper()
	addr, err := dnsaddr.ParseAddr("/ip4/192.0.2.1/tcp/9100/p2p/" + peer)
	if err != nil {
		t.Fatal(err)
	}
	rec := dnsaddr.Record{Value: addr.Value(), TTL: time.Minute, Comment: dnsaddr.Owner{Fleet: "blue", Relay: node}.Comment()}
	st.Records.Value = append(st.Records.Value, rec)
	st.Probes[addr] = fleet.Observed[fleet.Probe]{Value: fleet.Probe{Addr: addr, At: st.At, Verdict: verdict}}
}

func TestOrphans_EachIsNamedWithWhatResolvesIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *fleet.State)
		want   string // kind ID: part of the reason: command; "" for none
	}{
		"nothing": {func(*testing.T, *fleet.State) {}, ""},
		"a machine without a slot": {func(_ *testing.T, st *fleet.State) {
			withMachine(st, fleet.Machine{ID: "m2", Node: "fra1-1", Region: "fra1", Op: "02"}, peerTwo)
		}, "machine m2: the spec has no node fra1-1: fleetctl up"},
		"two machines for one slot": {func(_ *testing.T, st *fleet.State) {
			withMachine(st, fleet.Machine{ID: "m2", Node: "nyc1-1", Region: "nyc1", Op: "00"}, peerTwo)
		}, "machine m2: second machine for the slot; m1 keeps it: fleetctl up"},
		"a doomed one still alive": {func(_ *testing.T, st *fleet.State) {
			withMachine(st, fleet.Machine{ID: "m2", Node: "nyc1-1", Region: "nyc1", Phase: fleet.PhaseDoomed}, peerTwo)
		}, "machine m2: still alive: fleetctl up"},
		"one that is being replaced": {func(_ *testing.T, st *fleet.State) {
			withMachine(st, fleet.Machine{ID: "m2", Node: "nyc1-1", Region: "nyc1", Phase: fleet.PhaseDraining}, peerTwo)
		}, ""},
		"a machine without a record": {func(_ *testing.T, st *fleet.State) { st.Records.Value = nil },
			"machine m1: no record leads to it: fleetctl up"},
		"a zone that could not be read": {func(_ *testing.T, st *fleet.State) { st.Records = fleet.Observed[[]dnsaddr.Record]{Err: fleet.ErrAuth} }, ""},
		"a record without a machine": {func(t *testing.T, st *fleet.State) { withRecord(t, st, "fra1-1", peerTwo, fleet.Unreachable) },
			"record RECORD: no machine of the fleet is behind it: fleetctl up"},
		"a record whose relay answers": {func(t *testing.T, st *fleet.State) { withRecord(t, st, "fra1-1", peerTwo, fleet.Serving) },
			"record RECORD: its relay answers: fleetctl up --machine-gone fra1-1"},
		"a record whose relay answers, of an account that lists no machine": {func(t *testing.T, st *fleet.State) {
			withRecord(t, st, "fra1-1", peerTwo, fleet.Serving)
			st.Machines.Value = nil
			st.Records.Value = slices.DeleteFunc(st.Records.Value, func(r dnsaddr.Record) bool { return !strings.Contains(r.Value, peerTwo) })
		}, "record RECORD: a wrong token or account looks like this: fleetctl doctor"},
		"a record that may be a dark box's": {func(t *testing.T, st *fleet.State) {
			st.Relays["m1"] = fleet.Observed[fleet.Relay]{Err: fleet.ErrAuth}
			withRecord(t, st, "nyc1-1", peerTwo, fleet.Unreachable)
		}, ""},
		"an unmarked machine": {func(_ *testing.T, st *fleet.State) {
			withMachine(st, fleet.Machine{ID: "m2", Node: "fra1-1", Unmarked: true}, "")
		}, "machine m2: the name of one of ours and no marks: fleetctl adopt --id m2"},
		"an adopted machine": {func(_ *testing.T, st *fleet.State) { st.Machines.Value[0].Adopted = true },
			"machine m1: 'fleetctl release nyc1-1' gives it back: fleetctl adopt --take-over nyc1-1"},
		"machines that could not be listed": {func(_ *testing.T, st *fleet.State) {
			st.Machines = fleet.Observed[[]fleet.Machine]{Err: fleet.ErrAuth}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec, st := strayFleet(t)
			c.change(t, &st)
			found := orphans(spec, st)
			if c.want == "" {
				if len(found) != 0 {
					t.Errorf("orphans: got %+v, want none", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("orphans: got %+v, want one", found)
			}
			part := strings.SplitN(c.want, ": ", 3)
			o := found[0]
			subject := o.Kind + " " + strings.Replace(o.ID, "dnsaddr=/ip4/192.0.2.1/tcp/9100/p2p/"+peerTwo, "RECORD", 1)
			if subject != part[0] || !strings.Contains(o.Reason, part[1]) || o.Resolve != part[2] {
				t.Errorf("orphan: got %q, %q, %q; want %q", subject, o.Reason, o.Resolve, part)
			}
			if notice := name == "an adopted machine"; o.Notice != notice {
				t.Errorf("notice: got %t, want %t", o.Notice, notice)
			}
		})
	}
}

func TestStatus_AnAdoptedMachineIsNoOrphan(t *testing.T) {
	v := statusView{Orphans: []orphan{{Kind: "machine", ID: "m1", Node: "nyc1-1", Reason: "adopted", Resolve: "fleetctl adopt --take-over nyc1-1", Notice: true}}}
	var out bytes.Buffer
	if err := render.Write(&out, v, render.Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "\nmachine of nyc1-1 m1: adopted; resolve it with 'fleetctl adopt --take-over nyc1-1'\n"; !strings.Contains(out.String(), want) {
		t.Errorf("text: got %q, want %q in it", out.String(), want)
	}
}
