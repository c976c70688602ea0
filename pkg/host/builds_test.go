package host_test

import (
	"context"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
)

// buildAll leaves binaries as make build-all does and returns the one for amd64.
func buildAll(t *testing.T, dirs map[string]elf.Machine) fleet.Release {
	t.Helper()
	base := t.TempDir()
	for dir, processor := range dirs {
		text, err := os.ReadFile(hosttest.Program(t, processor))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, dir, "relay"), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	main, err := host.FindRelease(filepath.Join(base, "linux_amd64", "relay"), "")
	if err != nil {
		t.Fatal(err)
	}
	return main
}

func TestFindBuilds_FindsThePlatformsBesideTheRelease(t *testing.T) {
	t.Parallel()
	main := buildAll(t, map[string]elf.Machine{"linux_amd64": elf.EM_X86_64, "linux_arm64": elf.EM_AARCH64, "other_thing": elf.EM_AARCH64})
	got, err := host.FindBuilds(main)
	if err != nil || len(got) != 2 || got[host.Platform{OS: "linux", Arch: "amd64"}] != main {
		t.Fatalf("builds: got %+v, %v, want two, one of them the release itself", got, err)
	}
	if arm := got[host.Platform{OS: "linux", Arch: "arm64"}]; arm.SHA256 == "" || arm.SHA256 == main.SHA256 || !strings.HasSuffix(arm.Path, "linux_arm64/relay") {
		t.Errorf("arm64: got %+v", arm)
	}
	wrong := buildAll(t, map[string]elf.Machine{"linux_amd64": elf.EM_X86_64, "linux_arm64": elf.EM_X86_64})
	if _, err := host.FindBuilds(wrong); err == nil || fleet.Hint(err) == "" {
		t.Errorf("a build in the wrong directory: got %v, want an error with a hint", err)
	}
}

func TestWithBuilds_EachBoxGetsTheBuildForWhatItSaysItIs(t *testing.T) {
	t.Parallel()
	main := buildAll(t, map[string]elf.Machine{"linux_amd64": elf.EM_X86_64, "linux_arm64": elf.EM_AARCH64})
	of, err := host.FindBuilds(main)
	if err != nil {
		t.Fatal(err)
	}
	fake := hosttest.NewFake()
	hosts := host.New(host.Config{Runner: fake, Tunnel: fake}).WithBuilds(func() (host.Builds, error) { return host.Builds{Main: main, Of: of}, nil })
	arm, amd, mac := machine(2301), machine(2302), machine(2303)
	fake.Box(addr(arm)).Reply("uname -s -m", "Linux aarch64", 0)
	fake.Box(addr(mac)).Reply("uname -s -m", "Darwin arm64", 0)
	for _, m := range []fleet.Machine{arm, amd} {
		if err := hosts.Configure(context.Background(), m, config(1), main); err != nil {
			t.Fatalf("%s: %v", m.Node, err)
		}
		rel, err := hosts.Inspect(context.Background(), m)
		if err != nil || rel.SHA256 != main.SHA256 {
			t.Errorf("%s: got release %q, %v, want the one of the plan, %q", m.Node, rel.SHA256, err, main.SHA256)
		}
	}
	for m, want := range map[*fleet.Machine]fleet.Release{&arm: of[host.Platform{OS: "linux", Arch: "arm64"}], &amd: main} {
		if files := strings.Join(fake.Box(addr(*m)).Files(), "\n"); !strings.Contains(files, host.ReleaseFile(want.SHA256)) {
			t.Errorf("%s: got files\n%s\nwant the release %s", m.Node, files, want.SHA256)
		}
	}
	if err := hosts.Configure(context.Background(), mac, config(1), main); err == nil || !strings.Contains(err.Error(), "the box is darwin/arm64") {
		t.Errorf("a platform without a build: got %v, want it named", err)
	}
}
