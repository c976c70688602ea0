package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// scripts is where the transcripts are: one directory per topic.
const scripts = "../../testdata/script"

var update = flag.Bool("update", false, "write what commands print into the transcripts")

// binaries holds what transcripts need beside fleetctl, built when first asked for and
// removed at the end of the run.
var binaries struct {
	dir   string
	relay func() (string, error)
}

// suite is the test run with a directory for binaries around it.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "fleetctl-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries.dir = dir
	binaries.relay = sync.OnceValues(buildRelay)
	code := 1
	if err := quickFleetctl(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = s.m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// TestMain makes this binary be fleetctl when a transcript runs it by that name.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"fleetctl": killableMain})
}

// quickFleetctl puts this test program, without the race detector, into PATH as
// fleetctl: the detector makes SSH ten times slower and an exit a second longer. What
// tests call in their own process is still under it.
func quickFleetctl(dir string) error {
	if !raceEnabled {
		return nil
	}
	path := filepath.Join(dir, "quick", "fleetctl")
	if err := buildShipped("test", "-c", "-vet=off", "-o", path, "."); err != nil {
		return fmt.Errorf("build fleetctl: %w", err)
	}
	return os.Setenv("PATH", filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// buildRelay builds cmd/relay once per test run.
func buildRelay() (string, error) {
	path := filepath.Join(binaries.dir, "relay")
	if err := buildShipped("build", "-o", path, "../relay"); err != nil {
		return "", fmt.Errorf("build the relay: %w", err)
	}
	return path, nil
}

// buildShipped builds as `make build` does, so that what that has compiled is not compiled
// once more.
func buildShipped(verb string, args ...string) error {
	c := exec.Command("go", append([]string{verb, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"}, args...)...) //nolint:gosec // our own programs
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", verb, err, out)
	}
	return nil
}

// relayBinary is the path of a relay built from this tree.
func relayBinary(t testing.TB) string {
	t.Helper()
	path, err := binaries.relay()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScripts_PrintWhatTheTranscriptsSay runs every transcript, whatever its directory
// is called.
func TestScripts_PrintWhatTheTranscriptsSay(t *testing.T) {
	t.Parallel()
	topics, err := filepath.Glob(filepath.Join(scripts, "*"))
	if err != nil || len(topics) == 0 {
		t.Fatalf("no transcripts in %s: %v", scripts, err)
	}
	for _, dir := range topics {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir:                 dir,
				Setup:               freshHome,
				Cmds:                scriptCommands(),
				UpdateScripts:       *update,
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
}

// freshHome gives a script a home of its own: nothing of the user who runs the tests
// is read or written.
func freshHome(env *testscript.Env) error {
	for name, dir := range map[string]string{
		"HOME":            "home",
		"XDG_CONFIG_HOME": "home/.config",
		"XDG_STATE_HOME":  "state",
		"XDG_CACHE_HOME":  "home/.cache",
		"XDG_RUNTIME_DIR": "run",
	} {
		path := filepath.Join(env.WorkDir, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		env.Setenv(name, path)
	}
	env.Setenv("USER", "operator")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector sleeps a second at every exit
	env.Defer(func() { endFleets(env) })
	return nil
}
