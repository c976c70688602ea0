package host_test

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

const operatorKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHvNmUeLIjaYX3wBQ5vDyLgzrOjhvJHVWcLwVnpFmmUa ann@desk"

func oceanSpec() fleet.Spec {
	return fleet.Spec{Name: "test", Provider: fleet.ProviderDigitalOcean, Relay: fleet.RelaySpec{
		Port: 9100, QUICPort: 9101, Limits: fleet.Limits{ProcessMemory: 768 << 20, OpenFiles: 65536},
	}}
}

// debian is a bought box in memory, as its provider delivers it, and what works on it.
func debian(t *testing.T) (*hosttest.Fake, *hosttest.FakeBox, fleet.Machine, *host.Hosts) {
	t.Helper()
	fake, m := hosttest.NewFake(), bought(22)
	box := fake.Box(addr(m)).Debian()
	return fake, box, m, systemHosts(fake, nil)
}

func bought(port int) fleet.Machine {
	m := machine(port)
	m.User, m.Sudo, m.HostKey = "fleetctl", true, hosttest.InjectedHostKey()
	return m
}

// systemHosts works on Debian boxes; cut, if it is not nil, ends the run before a write.
func systemHosts(fake *hosttest.Fake, cut func(n int64) error) *host.Hosts {
	return host.New(host.Config{
		Runner: &hosttest.Counter{Runner: fake, Writes: new(atomic.Int64), Cut: cut}, Tunnel: fake, Keys: fake,
		System: host.SystemOf(oceanSpec(), []string{operatorKey}),
	})
}

func TestHosts_Debian(t *testing.T) {
	fake := hosttest.NewFake()
	ports := make(chan int, 100)
	for p := range 100 {
		ports <- 2000 + p
	}
	hosttest.Run(t, hosttest.Program(t, elf.EM_X86_64), func(testing.TB) hosttest.Box {
		m := bought(<-ports)
		fake.Box(addr(m)).Debian()
		return hosttest.Box{
			Machine: m, Runner: fake, Tunnel: fake, Keys: fake, System: host.SystemOf(oceanSpec(), []string{operatorKey}),
			Config: config,
			Kill:   func(testing.TB) { fake.Box(addr(m)).Kill() },
		}
	})
}

// trusting is a provider that marks host keys: what was trusted, in order.
type trusting struct {
	m    *fleet.Machine
	seen []string
}

func (tr *trusting) trust(_ context.Context, keys string) error {
	tr.seen = append(tr.seen, keys)
	tr.m.HostKey = keys
	return nil
}

// setUp is what a fleet does to a new machine.
func setUp(ctx context.Context, h *host.Hosts, m *fleet.Machine, tr *trusting, rel fleet.Release) error {
	if err := h.Await(ctx, *m, nil); err != nil {
		return err
	}
	if err := h.Rekey(ctx, *m, tr.trust); err != nil {
		return err
	}
	return h.Configure(ctx, *m, config(64), rel)
}

func TestSetUp_AFreshDebianBoxIsFencedAndServes(t *testing.T) {
	_, box, m, h := debian(t)
	tr := &trusting{m: &m}
	if err := setUp(t.Context(), h, &m, tr, hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
		t.Fatal(err)
	}
	got, err := h.Inspect(t.Context(), m)
	if err != nil || !got.Ready || got.Bootstrap || len(got.Drift) != 0 || len(got.Warnings) != 0 {
		t.Errorf("Inspect = %+v, %v; want ready, its own host key, no drift", got, err)
	}
	if want := host.SystemOf(oceanSpec(), nil); box.RunsUnit() != unitText(want, m) {
		t.Errorf("the relay runs under the unit %q, want the wanted one", box.RunsUnit())
	}
	if keys, _ := box.File("/home/fleetctl/.ssh/authorized_keys"); !strings.Contains(keys, operatorKey) {
		t.Errorf("authorized_keys = %q, want the operator's key", keys)
	}
	for _, want := range []string{
		"/usr/sbin/nft -c -f /etc/fleetctl/firewall.nft", "systemctl reload-or-restart fleetctl-firewall.service",
		"/usr/sbin/sshd -t", "systemctl restart systemd-journald.service",
		"install -d -o root -g relay -m 2750 /etc/relay", "install -d -o relay -g relay -m 0700 /var/lib/relay",
	} {
		if !slices.Contains(box.Effects(), want) {
			t.Errorf("%q was not run; what was: %q", want, box.Effects())
		}
	}
	before := len(box.Effects())
	if err := setUp(t.Context(), h, &m, tr, fleet.Release{}); err != nil || len(box.Effects()) != before {
		t.Errorf("a second time: %v, %d more effects; want none", err, len(box.Effects())-before)
	}
}

func unitText(s *host.System, m fleet.Machine) string {
	for _, p := range s.Parts(m) {
		if p.Name == host.PartUnit {
			return p.Files[0].Text
		}
	}
	return ""
}

func TestRekey_ANewKeyIsTrustedBeforeItIsShownAndTheOldOneGoesLast(t *testing.T) {
	_, box, m, h := debian(t)
	old, tr := m.HostKey, &trusting{m: &m}
	if got, err := h.Inspect(t.Context(), m); err != nil || !got.Bootstrap {
		t.Errorf("Inspect = Bootstrap %t, %v; want true before", got.Bootstrap, err)
	}
	if err := h.Rekey(t.Context(), m, tr.trust); err != nil {
		t.Fatal(err)
	}
	made := box.ShownHostKey()
	if want := []string{old + "\n" + made, made}; !slices.Equal(tr.seen, want) || made == old {
		t.Errorf("trusted %q, want %q", tr.seen, want)
	}
	if _, there := box.File("/etc/ssh/ssh_host_ed25519_key"); there {
		t.Error("the key that came with the order is still on the box")
	}
	if err := h.Rekey(t.Context(), m, tr.trust); err != nil || len(tr.seen) != 2 {
		t.Errorf("a second Rekey = %v, trusted %d times; want left alone", err, len(tr.seen)-2)
	}
}

func TestRekey_WhatSSHDRefusesIsTakenBack(t *testing.T) {
	_, box, m, h := debian(t)
	box.Reply("/usr/sbin/sshd -t", "bad configuration\n", 255)
	err := h.Rekey(t.Context(), m, (&trusting{m: &m}).trust)
	if err == nil || !strings.Contains(err.Error(), "bad configuration") {
		t.Errorf("Rekey = %v, want sshd's words", err)
	}
	if text, there := box.File(host.HostKeyDropIn); there {
		t.Errorf("the drop-in is %q, want it gone", text)
	}
	if _, there := box.File("/etc/ssh/ssh_host_ed25519_key"); !there {
		t.Error("the only key that sshd can show is gone")
	}
}

// A run that is killed before any write of the set-up of a new box leaves a box that the
// next run can log into and finishes: one host key of its own, trusted alone, fenced,
// the relay started once.
func TestSetUp_CutOffAfterAnyWriteIsFinishedByTheNext(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := int64(0); ; n++ {
		done := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			fake, m := hosttest.NewFake(), bought(22)
			box, tr := fake.Box(addr(m)).Debian(), &trusting{m: &m}
			killed := systemHosts(fake, func(at int64) error {
				if at > n {
					return errKilled
				}
				return nil
			})
			done = setUp(t.Context(), killed, &m, tr, rel) == nil
			if shown := box.ShownHostKey(); !slices.Contains(strings.Split(m.HostKey, "\n"), shown) {
				t.Fatalf("after %d writes the box shows %q, which is not among the trusted %q: nobody can log in", n, shown, m.HostKey)
			}
			fake.Drop(target(t, m))
			next := systemHosts(fake, nil)
			if err := setUp(t.Context(), next, &m, tr, rel); err != nil {
				t.Fatalf("after %d writes the next run: %v", n, err)
			}
			got, err := next.Inspect(t.Context(), m)
			if err != nil || !settled(got, config(64), rel.SHA256) || len(got.Drift) > 0 || got.Bootstrap {
				t.Errorf("after %d writes and the next run: %+v, %v; want it settled", n, got, err)
			}
			if box.Started() != 1 || m.HostKey != box.ShownHostKey() || m.HostKey == hosttest.InjectedHostKey() {
				t.Errorf("started %d times, trusted %q, shown %q; want once, and its own key alone", box.Started(), m.HostKey, box.ShownHostKey())
			}
		})
		if done {
			return
		}
		if n > 100 {
			t.Fatal("the set-up never ended")
		}
	}
}

// What changes later is converged, whatever write the run is cut off after, and the relay
// is restarted once for a unit and never for the rest.
func TestSettle_CutOffAfterAnyWriteIsFinishedByTheNext(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := int64(0); ; n++ {
		fake, box, m, h := debian(t)
		tr := &trusting{m: &m}
		if err := setUp(t.Context(), h, &m, tr, rel); err != nil {
			t.Fatal(err)
		}
		box.PutFile(host.FirewallRules, []byte("# opened by hand\n"))
		if _, err := fake.Run(t.Context(), target(t, m), sshx.Command{Argv: []string{"systemctl", "reload-or-restart", host.FirewallUnit}}); err != nil {
			t.Fatal(err)
		}
		box.PutFile("/etc/ssh/sshd_config.d/10-fleetctl.conf", nil)
		box.PutFile("/proc/swaps", []byte("Filename\n/swapfile file 1 0 -2\n"))
		box.PutFile("/etc/fstab", []byte("/dev/vda1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n"))
		got, err := h.Inspect(t.Context(), m)
		if names := driftNames(got.Drift); err != nil || names != "firewall sshd swap" {
			t.Fatalf("drift = %q, %v; want firewall, sshd and swap", names, err)
		}
		killed := systemHosts(fake, func(at int64) error {
			if at > n {
				return errKilled
			}
			return nil
		})
		done := killed.Settle(t.Context(), m) == nil
		if err := h.Settle(t.Context(), m); err != nil {
			t.Fatalf("after %d writes: %v", n, err)
		}
		got, err = h.Inspect(t.Context(), m)
		if err != nil || len(got.Drift) > 0 || box.Started() != 1 {
			t.Errorf("after %d writes and the next run: drift %+v, %v, started %d times; want none, once", n, got.Drift, err, box.Started())
		}
		if rules, _ := box.File(host.FirewallRules); box.Rules() != rules || !strings.Contains(rules, "policy drop") {
			t.Errorf("after %d writes and the next run the firewall has loaded %q, want %q", n, box.Rules(), rules)
		}
		if fstab, _ := box.File("/etc/fstab"); strings.Contains(fstab, "\n/swapfile") {
			t.Errorf("fstab = %q, want no swap after a reboot", fstab)
		}
		if done {
			return
		}
	}
}

func driftNames(all []fleet.Drift) string {
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
	}
	return strings.Join(names, " ")
}

func TestConfigure_AnotherUnitRestartsOnceWhateverWriteItIsCutOffAfter(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := int64(0); ; n++ {
		fake, box, m, h := debian(t)
		if err := setUp(t.Context(), h, &m, &trusting{m: &m}, rel); err != nil {
			t.Fatal(err)
		}
		box.PutFile(host.UnitFile, []byte("[Service]\nMemoryMax=1\n"))
		killed := systemHosts(fake, func(at int64) error {
			if at > n {
				return errKilled
			}
			return nil
		})
		done := killed.Configure(t.Context(), m, config(64), fleet.Release{}) == nil
		got, err := h.Inspect(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if restarted := box.Started() == 2; restarted != (driftNames(got.Drift) == "") {
			t.Fatalf("after %d writes: restarted is %t, and the drift is %+v", n, restarted, got.Drift)
		}
		if err := h.Configure(t.Context(), m, config(64), fleet.Release{}); err != nil {
			t.Fatalf("after %d writes: %v", n, err)
		}
		if got, err = h.Inspect(t.Context(), m); err != nil || len(got.Drift) > 0 || box.Started() != 2 || box.RunsUnit() != unitText(host.SystemOf(oceanSpec(), nil), m) {
			t.Errorf("after %d writes and the next run: %+v, %v, started %d times; want no drift, two starts", n, got.Drift, err, box.Started())
		}
		if done {
			return
		}
	}
}

func TestSettle_ARulesetThatIsRefusedIsTakenBackAndTheRestIsDone(t *testing.T) {
	_, box, m, h := debian(t)
	box.Reply("/usr/sbin/nft -c", "Error: syntax error\n", 1)
	err := h.Settle(t.Context(), m)
	if err == nil || !strings.Contains(err.Error(), "firewall: ") || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("Settle = %v, want nft's words", err)
	}
	if _, there := box.File(host.FirewallRules); there {
		t.Error("the refused rules are still there for the next boot")
	}
	got, err := h.Inspect(t.Context(), m)
	if names := driftNames(got.Drift); err != nil || names != "firewall unit" {
		t.Errorf("drift = %q, %v; want the firewall alone beside the unit", names, err)
	}
}

func TestConfigure_APackageThatCannotBeHadIsAWarning(t *testing.T) {
	for _, mirror := range []bool{true, false} {
		t.Run(fmt.Sprint(mirror), func(t *testing.T) {
			_, box, m, h := debian(t)
			box.Packages(mirror, "chrony")
			if err := setUp(t.Context(), h, &m, &trusting{m: &m}, hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)); err != nil {
				t.Fatal(err)
			}
			got, err := h.Inspect(t.Context(), m)
			if err != nil || !got.Ready || len(got.Drift) > 0 {
				t.Errorf("Inspect = %+v, %v; want it ready, without drift", got, err)
			}
			if warned := slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, "nftables is not installed") }); warned == mirror {
				t.Errorf("warnings = %q with a mirror: %t", got.Warnings, mirror)
			}
		})
	}
}

func TestUninstall_TakesTheRelayAndLeavesItsStateAndTheRest(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for n := int64(0); ; n++ {
		fake, box, m, h := debian(t)
		if err := setUp(t.Context(), h, &m, &trusting{m: &m}, rel); err != nil {
			t.Fatal(err)
		}
		theirs := []string{"/opt/relay/notes", "/etc/relay/notes"}
		for _, file := range theirs {
			box.PutFile(file, []byte("of somebody else"))
		}
		killed := systemHosts(fake, func(at int64) error {
			if at > n {
				return errKilled
			}
			return nil
		})
		done := killed.Uninstall(t.Context(), m) == nil
		if err := h.Uninstall(t.Context(), m); err != nil {
			t.Fatalf("after %d writes: %v", n, err)
		}
		for _, f := range box.Files() {
			ours := strings.HasPrefix(f, "/opt/relay/") || strings.HasPrefix(f, "/etc/relay/") || f == host.UnitFile
			if ours && !slices.Contains(theirs, f) {
				t.Errorf("after %d writes and the next run %s is still there", n, f)
			}
		}
		for _, file := range theirs {
			if _, there := box.File(file); !there {
				t.Errorf("after %d writes and the next run %s is gone, which fleetctl did not make", n, file)
			}
		}
		if id, _ := box.File(host.PeerIDFile); !strings.Contains(id, box.PeerID()) {
			t.Errorf("peer-id.txt = %q, want it left", id)
		}
		got, err := h.Inspect(t.Context(), m)
		if err != nil || got.Installed || got.Active || got.PeerID == "" {
			t.Errorf("Inspect = %+v, %v; want nothing installed, and who it was", got, err)
		}
		if done {
			return
		}
	}
}

// A host may have a service of its own by the name of ours.
func TestConfigure_AServiceOfOthersIsNeverOverwritten(t *testing.T) {
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	const theirs = "[Service]\nExecStart=/usr/bin/mail-relay\n"
	for name, make := range map[string]func(*hosttest.FakeBox){
		"a file":             func(b *hosttest.FakeBox) { b.PutFile(host.UnitFile, []byte(theirs)) },
		"one of a package's": func(b *hosttest.FakeBox) { b.Reply("systemctl show", "ActiveState=active\nMainPID=88\n", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			_, box, m, h := debian(t)
			m.Given = true
			make(box)
			before := box.Files()
			err := h.Configure(t.Context(), m, config(64), rel)
			if !errors.Is(err, host.ErrOthersService) || fleet.Hint(err) == "" {
				t.Errorf("Configure = %v, want ErrOthersService with a hint", err)
			}
			if box.Started() != 0 || len(box.Effects()) != 0 {
				t.Errorf("started %d times, did %q; want nothing done", box.Started(), box.Effects())
			}
			if after := box.Files(); !slices.Equal(slices.DeleteFunc(after, func(f string) bool { return f == host.SystemAudit }), before) {
				t.Errorf("the box holds %q, want %q", after, before)
			}
		})
	}
}

// A down that did not end, and one that did, leave a given machine to the next up.
func TestGivenMachine_ADrainMarkThatWasLeftIsTakenAway(t *testing.T) {
	_, box, m, h := debian(t)
	m.Given = true
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	marked := func() bool { _, there := box.File(host.DrainMark); return there }
	configure := func() {
		t.Helper()
		if err := h.Configure(t.Context(), m, config(64), rel); err != nil {
			t.Fatal(err)
		}
	}
	configure()
	if err := h.Drain(t.Context(), m); err != nil || !marked() {
		t.Fatalf("Drain = %v, marked %t", err, marked())
	}
	got, err := h.Inspect(t.Context(), m)
	if err != nil || !slices.ContainsFunc(got.Drift, func(d fleet.Drift) bool { return d.Name == "drain mark" && d.Fix == fleet.FixInPlace }) {
		t.Errorf("Inspect: drift %+v, %v; want the drain mark", got.Drift, err)
	}
	if err := h.Settle(t.Context(), m); err != nil || marked() {
		t.Errorf("Settle = %v, marked %t, want it gone", err, marked())
	}
	for _, leave := range []func() error{
		func() error { return h.Drain(t.Context(), m) },
		func() error { return h.Uninstall(t.Context(), m) },
	} {
		if err := leave(); err != nil {
			t.Fatal(err)
		}
	}
	if marked() {
		t.Error("after Uninstall the drain mark is there")
	}
	box.PutFile(host.DrainMark, []byte("left\n"))
	configure()
	if marked() {
		t.Error("after Configure the drain mark is there")
	}
}

func TestConfigure_WithoutRoomNothingIsSent(t *testing.T) {
	_, box, m, h := debian(t)
	box.Reply("df -Pk", "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 1000 990 10 99% /\n", 0)
	err := h.Configure(t.Context(), m, config(64), hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1))
	var noSpace *host.NoSpaceError
	if !errors.As(err, &noSpace) || fleet.Hint(err) == "" {
		t.Errorf("Configure = %v, want *host.NoSpaceError with a hint", err)
	}
	if slices.ContainsFunc(box.Files(), func(f string) bool { return strings.HasPrefix(f, host.Releases) }) {
		t.Errorf("the box holds %q, want no release", box.Files())
	}
}

func TestInspect_ABoxWithoutSystemdSaysWhatToDo(t *testing.T) {
	_, box, m, h := debian(t)
	box.Reply("systemctl show", "sh: systemctl: not found\n", 127)
	_, err := h.Inspect(t.Context(), m)
	if err == nil || !strings.Contains(err.Error(), "no systemd on the box") || !strings.Contains(fleet.Hint(err), "service: process") {
		t.Errorf("Inspect = %v with hint %q, want no systemd and what to set", err, fleet.Hint(err))
	}
}

func TestProcess_ABoxWithoutAServiceManagerIsKeptByTheRelayItself(t *testing.T) {
	_, box, m, h := debian(t)
	m.Given, m.Service, m.User, m.HostKey = true, fleet.ServiceProcess, "root", ""
	box.Reply("systemctl", "systemctl: not found", 127)
	if got, err := h.Inspect(t.Context(), m); err != nil || got.Installed || got.Active {
		t.Errorf("Inspect of a fresh box = %+v, %v; want nothing installed", got, err)
	}
	rel := hosttest.Release(t, hosttest.Program(t, elf.EM_X86_64), 1)
	for _, reservations := range []int{64, 65} {
		if err := h.Configure(t.Context(), m, config(reservations), rel); err != nil {
			t.Fatal(err)
		}
		got, err := h.Inspect(t.Context(), m)
		if err != nil || !settled(got, config(reservations), rel.SHA256) || len(got.Drift) > 0 || got.Bootstrap {
			t.Errorf("Inspect = %+v, %v; want it settled, its host key its owner's", got, err)
		}
	}
	for range 2 {
		if err := h.Uninstall(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := h.Inspect(t.Context(), m); err != nil || got.Installed || got.Active || box.Started() != 2 {
		t.Errorf("Inspect = %+v, %v, started %d times; want it gone after two starts", got, err, box.Started())
	}
	for _, e := range box.Effects() {
		if strings.Contains(e, "nft") || strings.Contains(e, "sshd") || strings.Contains(e, "useradd") {
			t.Errorf("%q was done to a machine of somebody else's", e)
		}
	}
}
