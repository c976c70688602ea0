package hosts_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/providertest"
	"github.com/relayfleet/fleetctl/pkg/provider/hosts"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// answer is the little that a box of this provider is asked.
func answer(dir string) sshtest.Exec {
	return func(_ context.Context, argv []string, _ io.Reader, stdout, stderr io.Writer) int {
		switch line := strings.Join(argv, " "); {
		case strings.HasPrefix(line, "mkdir -p -m 0700 "):
			if err := os.MkdirAll(filepath.Join(dir, argv[4]), 0o700); err != nil {
				_, _ = fmt.Fprintln(stderr, err)
				return 1
			}
			return 0
		case line == "readlink /opt/relay/current":
			text, err := os.ReadFile(filepath.Join(dir, "current"))
			if err != nil {
				return 1
			}
			_, _ = stdout.Write(text)
			return 0
		case argv[0] == "cat" && len(argv) == 2:
			text, err := os.ReadFile(filepath.Join(dir, argv[1]))
			if err != nil {
				return 1
			}
			_, _ = stdout.Write(text)
			return 0
		}
		_, _ = fmt.Fprintf(stderr, "%q: not found\n", argv[0])
		return 127
	}
}

func newBox(t *testing.T) *sshtest.Box {
	t.Helper()
	dir := t.TempDir()
	return sshtest.Start(t, sshtest.WithDir(dir), sshtest.WithExec(answer(dir)))
}

// entry is a box as fleet.yaml has it.
func entry(t *testing.T, node string, b *sshtest.Box) fleet.HostSpec {
	t.Helper()
	address, text, err := net.SplitHostPort(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.HostSpec{
		Node: node, Region: strings.TrimSuffix(node, "-1"), Address: address, Port: port,
		User: "root", State: "/var/lib/relay", Service: fleet.ServiceSystemd, Labels: []string{"lambda"},
	}
}

// open is a provider over these boxes, the i-th of which is the i-th given node.
func open(t *testing.T, run sshx.Runner, fleetName string, boxes ...*sshtest.Box) *hosts.Provider {
	t.Helper()
	var list []fleet.HostSpec
	for i, b := range boxes {
		list = append(list, entry(t, providertest.GivenNodes()[i], b))
	}
	return with(t, hosts.Config{Fleet: fleetName, Hosts: list, Runner: run})
}

func with(t *testing.T, c hosts.Config) *hosts.Provider {
	t.Helper()
	p, err := hosts.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func list(t *testing.T, p *hosts.Provider) map[string]fleet.Machine {
	t.Helper()
	ms, err := p.Machines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]fleet.Machine)
	for _, m := range ms {
		out[m.Node] = m
	}
	return out
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestProvider_KeepsTheContract(t *testing.T) {
	t.Parallel()
	providertest.RunGiven(t, func(t *testing.T) providertest.Subject {
		boxes := []*sshtest.Box{newBox(t), newBox(t), newBox(t)}
		run := sshtest.Client(t, sshx.Config{}, boxes...)
		return providertest.Subject{
			Provider: open(t, run, "demo", boxes...), Fleet: "demo", Key: "ssh-ed25519 AAAA",
			Again: func(t *testing.T) fleet.Provider { return open(t, run, "demo", boxes...) },
		}
	})
}

func TestMachines_NamesTheHostsThatCannotBeReadAndListsTheOthers(t *testing.T) {
	t.Parallel()
	good, unpinned, damaged := newBox(t), newBox(t), newBox(t)
	run := sshtest.Client(t, sshx.Config{}, good, damaged)
	put(t, damaged, "not json")
	p := open(t, run, "demo", good, unpinned, damaged)
	got := list(t, p)
	for node, want := range map[string]string{
		"ams3-1": "", "nyc1-1": "run `fleetctl adopt nyc1-1`", "sgp1-1": "does not say whose the box is",
	} {
		m, listed := got[node]
		if !listed || len(m.Addrs) != 1 || (m.Problem == "") != (want == "") || !strings.Contains(m.Problem, want) {
			t.Errorf("%s: got listed %v, problem %q, addresses %v; want %q and one address", node, listed, m.Problem, m.Addrs, want)
		}
	}
	if err := p.Cleanup(t.Context()); err == nil {
		t.Error("Cleanup while a host does not answer: got no error")
	}
	if _, err := p.Leftovers(t.Context()); err == nil {
		t.Error("Leftovers while a host does not answer: got no error")
	}
}

func TestMachines_ANameThatDoesNotResolveHasNoAddressAndAProblem(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	known, unknown := entry(t, "ams3-1", b), entry(t, "nyc1-1", b)
	known.Address, unknown.Address = "Relay.Example.net", "gone.example.net"
	p := with(t, hosts.Config{
		Fleet: "demo", Hosts: []fleet.HostSpec{known, unknown}, Runner: sshtest.Client(t, sshx.Config{}, b),
		Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			if name == "gone.example.net" {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("127.0.0.1")}, nil
		},
	})
	got := list(t, p)
	if m := got["ams3-1"]; len(m.Addrs) != 2 || m.Addrs[0] != netip.MustParseAddr("127.0.0.1") || m.Problem != "" || m.ID != fmt.Sprintf("relay.example.net:%d", known.Port) {
		t.Errorf("a name: got %+v, want IPv4 before IPv6, each once, and the name as the ID", m)
	}
	if m := got["nyc1-1"]; m.Addrs == nil || len(m.Addrs) != 0 || !strings.Contains(m.Problem, "gone.example.net") || m.Status != fleet.StatusRunning {
		t.Errorf("an unknown name: got %+v, want it listed with its problem", m)
	}
}

func TestMachines_MarksAreReadByOneCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := sshtest.Start(t, sshtest.WithDir(dir), sshtest.WithoutSFTP(), sshtest.WithExec(answer(dir)))
	put(t, b, `{"fleet": "demo", "node": "ams3-1", "adopted": true}`)
	if m := list(t, open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b))["ams3-1"]; m.Problem != "" || !m.Adopted {
		t.Errorf("got problem %q, adopted %v; want its marks without a file being opened", m.Problem, m.Adopted)
	}
}

// What was noted there is not known, and that something was is.
func TestMachines_AMarkThatIsNoTimeIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	put(t, b, `{"fleet": "demo", "node": "ams3-1", "cached": "tomorrow"}`)
	m := list(t, open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b))["ams3-1"]
	if m.Problem != "" || time.Until(m.CachedUntil) < 365*24*time.Hour {
		t.Errorf("got problem %q and until %s, want a time further ahead than any that is noted", m.Problem, m.CachedUntil)
	}
}

// A login shell that greets, a box without cat, and one whose cat reads something else.
func TestMachines_WhatIsNotWholeMarksIsReadAsAFile(t *testing.T) {
	t.Parallel()
	for what, said := range map[string]string{
		"a greeting": "welcome\n" + `{"fleet": "demo", "adopted": true}`, "half": `{"fleet": "other", "ado`, "another": `{"node": "x"}`, "nothing": "",
	} {
		for _, code := range []int{0, 1, 127} {
			b := sshtest.Start(t, sshtest.WithExec(func(_ context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
				_, _ = io.WriteString(stdout, said)
				return code
			}))
			p := open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b)
			if m := list(t, p)["ams3-1"]; m.Problem != "" || m.Adopted || len(m.Drift) != 1 {
				t.Errorf("%s, exit code %d, no file: got %+v, want a host that nobody marked", what, code, m)
			}
			put(t, b, `{"fleet": "demo", "node": "ams3-1", "adopted": true}`)
			if m := list(t, p)["ams3-1"]; m.Problem != "" || !m.Adopted {
				t.Errorf("%s, exit code %d: got problem %q, adopted %v; want what the file says", what, code, m.Problem, m.Adopted)
			}
		}
	}
}

func TestMachine_IsWhatItsEntrySays(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := entry(t, "ams3-1", b)
	h.User, h.Key, h.Jump, h.State, h.Service = "admin", "~/k", "ops@bastion:2222", "/var/lib/bitterbot", fleet.ServiceProcess
	p := with(t, hosts.Config{
		Fleet: "demo", Hosts: []fleet.HostSpec{h}, Runner: sshtest.Client(t, sshx.Config{}),
		Path: func(path string) string { return "/home/op/" + strings.TrimPrefix(path, "~/") },
	})
	m := list(t, p)["ams3-1"]
	if !m.Sudo || m.User != "admin" || m.Key != "/home/op/k" || m.Jump != h.Jump || m.State != h.State || m.Service != h.Service || len(m.Labels) != 1 || !m.Given {
		t.Errorf("machine: got %+v, want the entry's values and sudo", m)
	}
}

func TestMarks_OfAnotherFleetAreNeverTouched(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	run := sshtest.Client(t, sshx.Config{}, b)
	other := open(t, run, "other", b)
	m := list(t, other)["ams3-1"]
	must(t, "Adjust", other.Adjust(t.Context(), m.ID))
	before := read(t, b)
	p := open(t, run, "demo", b)
	if got := list(t, p)["ams3-1"]; !strings.Contains(got.Problem, `"other"`) {
		t.Errorf("problem: got %q, want the other fleet named", got.Problem)
	}
	for what, err := range map[string]error{
		"Mark":    p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkAdopted: "yes"}, nil),
		"Adjust":  p.Adjust(t.Context(), m.ID),
		"Adopt":   p.Adopt(t.Context(), fleet.Adoption{ID: m.ID}),
		"Release": p.Release(t.Context(), m.ID),
	} {
		if !errors.Is(err, fleet.ErrOtherFleet) || fleet.Hint(err) == "" {
			t.Errorf("%s: got %v, want ErrOtherFleet with a hint", what, err)
		}
	}
	must(t, "Cleanup", p.Cleanup(t.Context()))
	if after := read(t, b); after != before {
		t.Errorf("marks of the other fleet: got %s, want %s", after, before)
	}
}

func TestMarks_OfAFleetOfTheSameNameAndAnotherIDAreRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	run := sshtest.Client(t, sshx.Config{}, b)
	hostList := []fleet.HostSpec{entry(t, "ams3-1", b)}
	one := with(t, hosts.Config{Fleet: "demo", ID: "aaaa", Hosts: hostList, Runner: run})
	two := with(t, hosts.Config{Fleet: "demo", ID: "bbbb", Hosts: hostList, Runner: run})
	m := list(t, one)["ams3-1"]
	must(t, "Adopt", one.Adopt(t.Context(), fleet.Adoption{ID: m.ID}))
	if got := list(t, two)["ams3-1"]; !strings.Contains(got.Problem, fleet.ErrOtherFleet.Error()) || got.Adopted {
		t.Errorf("the other ID: got problem %q, adopted %v", got.Problem, got.Adopted)
	}
	none := with(t, hosts.Config{Fleet: "demo", Hosts: hostList, Runner: run})
	if got := list(t, none)["ams3-1"]; !strings.Contains(got.Problem, fleet.ErrOtherFleet.Error()) {
		t.Errorf("no ID: got problem %q, want another fleet's", got.Problem)
	}
	before := read(t, b)
	for who, p := range map[string]*hosts.Provider{"the other ID": two, "no ID": none} {
		for what, err := range map[string]error{
			"Release": p.Release(t.Context(), m.ID), "Adjust": p.Adjust(t.Context(), m.ID), "Adopt": p.Adopt(t.Context(), fleet.Adoption{ID: m.ID}),
			"Mark": p.Mark(t.Context(), m.ID, nil, []string{fleet.MarkAdopted}),
		} {
			if !errors.Is(err, fleet.ErrOtherFleet) {
				t.Errorf("%s by %s: got %v, want ErrOtherFleet", what, who, err)
			}
		}
		if err := p.Cleanup(t.Context()); err != nil { // what is not ours is no leftover
			t.Errorf("Cleanup by %s: %v", who, err)
		}
	}
	if err := none.Release(t.Context(), m.ID); !strings.Contains(fleet.Hint(err), `add id: "aaaa"`) {
		t.Errorf("no ID: got hint %q, want the ID to add", fleet.Hint(err))
	}
	if after := read(t, b); after != before {
		t.Errorf("marks: got %s, want %s as before", after, before)
	}
}

// Marks of a fleet that had no ID when it made them.
func TestMarks_OfOurNameWithoutOurIDAreAProblemUntilAdopted(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	run := sshtest.Client(t, sshx.Config{}, b)
	hostList := []fleet.HostSpec{entry(t, "ams3-1", b)}
	old := with(t, hosts.Config{Fleet: "demo", Hosts: hostList, Runner: run})
	now := with(t, hosts.Config{Fleet: "demo", ID: "aaaa", Hosts: hostList, Runner: run})
	m := list(t, old)["ams3-1"]
	must(t, "Adjust", old.Adjust(t.Context(), m.ID))
	if got := list(t, now)["ams3-1"]; !strings.Contains(got.Problem, "fleetctl adopt") {
		t.Errorf("marks without an ID: got problem %q, want the command that ends it", got.Problem)
	}
	for what, err := range map[string]error{"Release": now.Release(t.Context(), m.ID), "Adjust": now.Adjust(t.Context(), m.ID)} {
		if err == nil {
			t.Errorf("%s of marks without an ID: got no error", what)
		}
	}
	must(t, "Adopt", now.Adopt(t.Context(), fleet.Adoption{ID: m.ID}))
	if got := list(t, now)["ams3-1"]; got.Problem != "" || got.Adopted {
		t.Errorf("after Adopt: got problem %q and adopted %v, want a host of ours as it was", got.Problem, got.Adopted)
	}
}

func TestAdopt_MarksAFreshHostAndLeavesOneThatIsOurs(t *testing.T) {
	t.Parallel()
	fresh, ours := newBox(t), newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}, fresh, ours), "demo", fresh, ours)
	was := list(t, p)
	if d := was["nyc1-1"].Drift; len(d) != 1 || d[0].To != "demo" {
		t.Errorf("unmarked host: got drift %+v, want the owner", d)
	}
	must(t, "Adjust", p.Adjust(t.Context(), was["nyc1-1"].ID))
	for range 2 {
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: was["ams3-1"].ID}))
		must(t, "Adopt", p.Adopt(t.Context(), fleet.Adoption{ID: was["nyc1-1"].ID}))
	}
	got := list(t, p)
	if !got["ams3-1"].Adopted || got["nyc1-1"].Adopted {
		t.Errorf("adopted: got %v and %v, want true and false", got["ams3-1"].Adopted, got["nyc1-1"].Adopted)
	}
	if err := p.Cleanup(t.Context()); err == nil || !strings.Contains(err.Error(), "ams3-1: its relay was adopted") {
		t.Errorf("Cleanup with an adopted relay: got %v, want an error that names it", err)
	}
	for range 2 {
		must(t, "Release", p.Release(t.Context(), was["ams3-1"].ID))
	}
	if got := list(t, p)["ams3-1"]; got.Adopted || len(got.Drift) != 1 {
		t.Errorf("after release: got %+v, want no mark of ours", got)
	}
}

func TestCandidates_AreListedBeforeAnyHostKeyIsPinned(t *testing.T) {
	t.Parallel()
	one, two := newBox(t), newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}), "demo", one, two)
	id := one.Addr
	for want, c := range map[int]fleet.Candidates{
		2: {Tag: "lambda", Name: "127.*"}, 1: {IDs: []string{id}}, 0: {Tag: "hetzner"},
	} {
		got, err := p.Candidates(t.Context(), c)
		must(t, "Candidates", err)
		if len(got) != want || want == 1 && (got[0].ID != id || got[0].Fleet != "" || got[0].Problem != "" || len(got[0].Addrs) != 1) {
			t.Errorf("%+v: got %+v, want %d", c, got, want)
		}
	}
	if one.Dials()+two.Dials() != 0 {
		t.Error("a box was dialed, want none")
	}
	if _, err := p.Candidates(t.Context(), fleet.Candidates{Name: "["}); err == nil {
		t.Error("a broken glob: got no error")
	}
}

func TestCleanup_IsAnErrorWhileARelayIsInstalled(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b)
	must(t, "Adjust", p.Adjust(t.Context(), list(t, p)["ams3-1"].ID))
	must(t, "install", os.WriteFile(filepath.Join(b.Dir, "current"), []byte("releases/abc\n"), 0o600))
	if err := p.Cleanup(t.Context()); err == nil || !strings.Contains(err.Error(), "a relay is installed") {
		t.Errorf("Cleanup: got %v, want an error", err)
	}
	if read(t, b) == "" {
		t.Error("the marks are gone, want them kept")
	}
}

func TestMachine_TheBoxVouchesForNoHostKey(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b)
	put(t, b, `{"fleet": "demo", "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHvNmUeLIjaYX3wBQ5vDyLgzrOjhvJHVWcLwVnpFmmUa"}`)
	if m := list(t, p)["ams3-1"]; m.HostKey != "" || m.Problem != "" {
		t.Errorf("got host key %q, problem %q; want none: what is vouched for is pinned", m.HostKey, m.Problem)
	}
}

func TestMarks_AreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}, b), "demo", b)
	must(t, "Adjust", p.Adjust(t.Context(), list(t, p)["ams3-1"].ID))
	for path, want := range map[string]os.FileMode{"var/lib/relay": 0o700, "var/lib/relay/machine.json": 0o600} {
		info, err := os.Stat(filepath.Join(b.Dir, path))
		must(t, "stat", err)
		if info.Mode().Perm() != want {
			t.Errorf("%s: got mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func read(t *testing.T, b *sshtest.Box) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "var/lib/relay", hosts.MarksFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func put(t *testing.T, b *sshtest.Box, text string) {
	t.Helper()
	dir := filepath.Join(b.Dir, "var/lib/relay")
	must(t, "mkdir", os.MkdirAll(dir, 0o700))
	must(t, "write", os.WriteFile(filepath.Join(dir, hosts.MarksFile), []byte(text), 0o600))
}

func TestListed_AsksNoBoxAndItsProofIsWhatMarkingWrites(t *testing.T) {
	t.Parallel()
	box, dead := newBox(t), newBox(t)
	p := open(t, sshtest.Client(t, sshx.Config{}, box), "demo", box, dead) // dead has no pin
	must(t, "adjust", p.Adjust(t.Context(), box.Addr))
	got, err := p.Listed(t.Context())
	must(t, "list", err)
	if len(got) != 2 || got[0].Problem != "" || got[1].Problem != "" {
		t.Fatalf("got %+v, want both hosts and no problem, for none was asked", got)
	}
	m, err := p.Look(t.Context(), box.Addr)
	must(t, "look", err)
	proof, err := p.Proof(m)
	must(t, "prove", err)
	if has := read(t, box); has != string(proof.Is) || proof.File != "/var/lib/relay/"+hosts.MarksFile {
		t.Errorf("got proof %q in %s, want %q as the box has it", proof.Is, proof.File, has)
	}
	must(t, "adopt", p.Mark(t.Context(), box.Addr, map[string]string{fleet.MarkAdopted: "yes"}, nil))
	if has := read(t, box); has == string(proof.Is) {
		t.Errorf("got %q as the proof of an adopted box, whose audit log is not ours to write", has)
	}
}

func TestLook_SaysWhatMachinesSays(t *testing.T) {
	t.Parallel()
	theirs := newBox(t)
	put(t, theirs, `{"fleet": "other", "node": "x"}`)
	p := open(t, sshtest.Client(t, sshx.Config{}, theirs), "demo", theirs)
	m, err := p.Look(t.Context(), theirs.Addr)
	must(t, "look", err)
	if want := list(t, p)[m.Node]; m.Problem == "" || m.Problem != want.Problem {
		t.Errorf("got problem %q, want %q", m.Problem, want.Problem)
	}
	if _, err := p.Look(t.Context(), "192.0.2.1:22"); !errors.Is(err, fleet.ErrNoMachine) {
		t.Errorf("got error %v, want that there is no such host", err)
	}
}

func TestMachines_ABoxUnderTwoNamesIsOneOfThemAndAProblem(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	at := entry(t, "nyc1-1", box)
	again := at
	again.Node, again.Address = "fra1-1", "relay.example.test"
	behind := again
	behind.Node, behind.Address, behind.Jump = "sgp1-1", "other.example.test", "jump.example.test"
	p := with(t, hosts.Config{Fleet: "demo", Hosts: []fleet.HostSpec{at, again, behind}, Runner: sshtest.Client(t, sshx.Config{}, box),
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddrPort(box.Addr).Addr()}, nil
		}})
	got := list(t, p)
	if got["nyc1-1"].Problem != "" || !strings.Contains(got["fra1-1"].Problem, "is that of nyc1-1, too") {
		t.Errorf("got problems %q and %q, want one of the second alone", got["nyc1-1"].Problem, got["fra1-1"].Problem)
	}
	if problem := got["sgp1-1"].Problem; strings.Contains(problem, "too") {
		t.Errorf("got problem %q, want none of that kind: behind a jump host the address is another machine's", problem)
	}
}
