package host

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
)

func TestParseUname(t *testing.T) {
	for in, want := range map[string]string{
		"Linux x86_64\n": "linux/amd64", "Linux aarch64": "linux/arm64", "Darwin arm64\n": "darwin/arm64",
		"Darwin x86_64": "darwin/amd64", "Linux armv7l": "linux/arm", "Linux riscv64": "linux/riscv64", "Linux i686": "linux/386",
	} {
		if got, err := parseUname(in); err != nil || got.String() != want {
			t.Errorf("parseUname(%q) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "Linux", "a b c", strings.Repeat("x ", 1000)} {
		if got, err := parseUname(in); err == nil {
			t.Errorf("parseUname(%.20q) = %s, want an error", in, got)
		}
	}
}

func TestReadPlatform_OfThisTestIsThisPlatform(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if got, err := ReadPlatform(self); err != nil || got != want {
		t.Errorf("ReadPlatform = %s, %v; want %s", got, err, want)
	}
}

func TestReadPlatform_AScriptIsNoRelay(t *testing.T) {
	path := write755(t, t.TempDir(), "relay", "#!/bin/sh\n")
	_, err := ReadPlatform(path)
	if err == nil || !strings.Contains(fleet.Hint(err), "make build") {
		t.Errorf("ReadPlatform of a script = %v with hint %q, want an error that names make build", err, fleet.Hint(err))
	}
}

func write755(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindRelease_TakesTheFirstOfSpecNeighbourAndPath(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	none, beside, onPath, named := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write755(t, beside, "relay", string(program)+"beside")
	write755(t, onPath, "relay", string(program)+"path")
	wanted := write755(t, named, "myrelay", string(program)+"named")
	for _, c := range []struct {
		name, wanted, executable, path, want string
	}{
		{"the spec's", wanted, filepath.Join(beside, "fleetctl"), onPath, wanted},
		{"beside fleetctl", "", filepath.Join(beside, "fleetctl"), onPath, filepath.Join(beside, "relay")},
		{"on PATH", "", filepath.Join(none, "fleetctl"), onPath, filepath.Join(onPath, "relay")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			got, err := FindRelease(c.wanted, c.executable)
			if err != nil || got.Path != c.want || len(got.SHA256) != 64 {
				t.Errorf("FindRelease = %+v, %v; want %s", got, err, c.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Setenv("PATH", none)
		_, err := FindRelease("", filepath.Join(none, "fleetctl"))
		if !errors.Is(err, ErrNoBinary) || !strings.Contains(fleet.Hint(err), "make build") {
			t.Errorf("FindRelease = %v with hint %q, want ErrNoBinary that names make build", err, fleet.Hint(err))
		}
	})
	t.Run("the spec's is missing", func(t *testing.T) {
		t.Setenv("PATH", onPath)
		if got, err := FindRelease(filepath.Join(none, "relay"), filepath.Join(beside, "fleetctl")); err == nil {
			t.Errorf("FindRelease = %+v, want an error and no other binary", got)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if got, err := FindRelease(none, ""); err == nil {
			t.Errorf("FindRelease = %+v, want an error", got)
		}
	})
}
