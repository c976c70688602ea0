package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestMapSlots_GivesOnlyWhatIsClear(t *testing.T) {
	t.Parallel()
	spec := fleet.Spec{Name: "demo", Nodes: []fleet.NodeSpec{{Region: "nyc1", Count: 2}, {Region: "fra1"}, {Region: "sgp1"}}}
	machine := func(id, region string) fleet.Machine { return fleet.Machine{ID: id, Name: "old-" + id, Region: region} }
	held := fleet.Machine{ID: "9", Fleet: "demo", Node: "fra1-1", Region: "fra1"}
	for _, tt := range []struct {
		name     string
		machines []fleet.Machine
		ours     []fleet.Machine
		forced   map[string]string
		want     []string // node=ID
		refused  string
	}{
		{"one machine, one slot", []fleet.Machine{machine("1", "fra1"), machine("2", "sgp1")}, nil, nil, []string{"fra1-1=1", "sgp1-1=2"}, ""},
		{"one machine, two slots", []fleet.Machine{machine("1", "nyc1")}, nil, nil, nil, "say it with --node nyc1-1=1"},
		{"two machines, two slots", []fleet.Machine{machine("1", "nyc1"), machine("2", "nyc1")}, nil, nil, nil, "which of nyc1-1, nyc1-2 is for which machine"},
		{"one of two is named, the other is clear", []fleet.Machine{machine("1", "nyc1"), machine("2", "nyc1")}, nil, map[string]string{"nyc1-2": "1"}, []string{"nyc1-1=2", "nyc1-2=1"}, ""},
		{"no slot in the region", []fleet.Machine{machine("1", "ams3")}, nil, nil, nil, "the spec has no free slot for 1 (old-1)"},
		{"the slot is taken", []fleet.Machine{machine("1", "fra1")}, []fleet.Machine{held}, nil, nil, "no free slot"},
		{"the named slot is taken", []fleet.Machine{machine("1", "sgp1")}, []fleet.Machine{held}, map[string]string{"fra1-1": "1"}, nil, "fra1-1: the slot is taken"},
		{"another region's slot, named", []fleet.Machine{machine("1", "ams3")}, nil, map[string]string{"fra1-1": "1"}, []string{"fra1-1=1"}, ""},
		{"ours keeps its slot", []fleet.Machine{held}, []fleet.Machine{held}, nil, []string{"fra1-1=9"}, ""},
		{"ours, named again", []fleet.Machine{held}, []fleet.Machine{held}, map[string]string{"fra1-1": "9"}, []string{"fra1-1=9"}, ""},
		{"a node that is not there", []fleet.Machine{machine("1", "fra1")}, nil, map[string]string{"fra1-2": "1"}, nil, `no node "fra1-2"`},
		{"a machine that is not there", []fleet.Machine{machine("1", "fra1")}, nil, map[string]string{"sgp1-1": "7"}, nil, "no machine 7"},
		{"one machine for two slots", []fleet.Machine{machine("1", "fra1")}, nil, map[string]string{"sgp1-1": "1", "fra1-1": "1"}, nil, "given two slots"},
	} {
		got, err := mapSlots(spec, tt.ours, tt.machines, tt.forced)
		if tt.refused != "" {
			text := ""
			if err != nil {
				text = err.Error() + " " + fleet.Hint(err)
			}
			if !strings.Contains(text, tt.refused) || exitCode(err) != exitRefused {
				t.Errorf("%s: got %v (%q), want a refusal that says %q", tt.name, err, text, tt.refused)
			}
			continue
		}
		var pairs []string
		for _, m := range got {
			pairs = append(pairs, m.Node+"="+m.ID)
		}
		if err != nil || !slices.Equal(pairs, tt.want) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, pairs, err, tt.want)
		}
	}
}

func TestVouch_AKeyThatIsNotTheNamedOneEndsTheCommand(t *testing.T) {
	t.Parallel()
	_, key, err := sshx.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := sshx.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	right, err := sshx.Fingerprint(key)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := sshx.Fingerprint(other)
	if err != nil {
		t.Fatal(err)
	}
	for text, refused := range map[string]bool{right: false, wrong: true, "SHA256:short": true, "": true} {
		found := []*adoptee{{m: fleet.Machine{Node: "a-1"}, key: key}, {m: fleet.Machine{Node: "b-1"}, err: errors.New("gone")}}
		err := vouch(found, map[string]string{"a-1": text})
		if (err != nil) != refused || found[0].vouched == refused {
			t.Errorf("%q: got %v, vouched %v, want refused %v", text, err, found[0].vouched, refused)
		}
		if refused && exitCode(err) != exitRefused {
			t.Errorf("%q: got exit %d, want %d", text, exitCode(err), exitRefused)
		}
	}
	if err := vouch(nil, map[string]string{"c-1": right}); err == nil || !strings.Contains(err.Error(), `"c-1"`) {
		t.Errorf("a node that is not adopted: got %v, want it named", err)
	}
}

func TestAdoptionView_HasOneRowForEachMachineAndSaysWhatFailed(t *testing.T) {
	t.Parallel()
	s := &session{spec: fleet.Spec{Name: "demo"}}
	v := s.adoption([]*adoptee{{m: fleet.Machine{Node: "a-1", ID: "1"}, err: fmt.Errorf("gone")}, {m: fleet.Machine{Node: "b-1", ID: "2"}, result: trusted}}, false)
	if len(v.Machines) != 2 || v.Machines[0].Result != adoptFailure || v.Machines[0].Error != "gone" || v.Machines[1].Result != trusted {
		t.Errorf("view: got %+v", v)
	}
	if notes := strings.Join(v.Table().Notes, "\n"); !strings.Contains(notes, "a-1: gone") || !strings.Contains(notes, "'fleetctl up' installs one") {
		t.Errorf("notes: got %q", notes)
	}
}

// machineList is a provider that lists machines, and does nothing else.
type machineList struct {
	fleet.Provider
	machines []fleet.Machine
}

func (l machineList) Machines(context.Context) ([]fleet.Machine, error) {
	return slices.Clone(l.machines), nil
}

func TestRelease_AMachineWithoutMarksIsRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	s, zone := testSession(t, namedProber{})
	s.b.Provider = machineList{machines: []fleet.Machine{{ID: "1", Node: "nyc1-1"}, {ID: "7", Node: "nyc1-2", Unmarked: true}}}
	records := func() []dnsaddr.Record {
		t.Helper()
		all, err := zone.Records(t.Context(), testEntry)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := records()
	v, machines, err := s.toRelease(t.Context(), []string{"nyc1-1"})
	if err != nil || len(v.Machines) != 1 || len(machines) != 1 {
		t.Errorf("a machine with marks: got %+v, %+v and error %v, want it and no error", v, machines, err)
	}
	v, machines, err = s.toRelease(t.Context(), []string{"nyc1-1", "nyc1-2"})
	if exitCode(err) != exitRefused || !strings.Contains(err.Error(), "nyc1-2") || !strings.Contains(fleet.Hint(err), "fleetctl adopt --id 7") {
		t.Errorf("got %v with hint %q and exit %d, want nyc1-2 refused, with who takes it back", err, fleet.Hint(err), exitCode(err))
	}
	if len(v.Machines) > 0 || len(machines) > 0 {
		t.Errorf("got %+v and %+v to be given back, want neither of the two", v.Machines, machines)
	}
	if after := records(); !slices.Equal(after, before) {
		t.Errorf("got records %+v, want %+v as before", after, before)
	}
}
