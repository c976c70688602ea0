package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// monitored runs 'monitoring init' in a directory with a fleet's spec, and returns what it
// said, without the breaks of lines.
func monitored(t *testing.T, spec string, want int, args ...string) string {
	t.Helper()
	a, stdout, stderr := testApp(t)
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	code := run(t.Context(), a, append([]string{"monitoring", "init"}, args...))
	said := strings.Join(strings.Fields(stdout.String()+stderr.String()), " ")
	if code != want {
		t.Fatalf("monitoring init %v: got exit %d, want %d: %s", args, code, want, said)
	}
	return said
}

// specOf is a fleet of one relay.
func specOf(name, id string) string {
	return "name: " + name + "\nid: " + id + "\nprovider: local\nnodes: [{region: nyc1}]\ndns: {zone: local, domain: p2p." + name + ".test}\n"
}

func TestMonitoringInit_ADirectoryIsOfOneFleet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prometheus")
	monitored(t, specOf("harbour", "harbour001"), exitOK, dir)
	before, err := os.ReadFile(filepath.Join(dir, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for what, spec := range map[string]string{"another fleet": specOf("island", "island0001"), "another of the name": specOf("harbour", "harbour002")} {
		for _, args := range [][]string{{dir}, {dir, "--force"}} {
			said := monitored(t, spec, exitRefused, args...)
			for _, part := range []string{dir, `fleet, "harbour" with the ID "harbour001"`, "hint: "} {
				if !strings.Contains(said, part) {
					t.Errorf("%s %v: got %s, want %q in it", what, args, said, part)
				}
			}
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "prometheus.yml")); err != nil || string(after) != string(before) {
		t.Errorf("prometheus.yml: got %s, %v, want what was there", after, err)
	}
	monitored(t, specOf("harbour", "harbour001"), exitOK, dir)
}

func TestMonitoringInit_ASecondRunSaysWhichFlagsAreOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prometheus")
	spec := specOf("harbour", "harbour001")
	first := []string{dir, "--notify", "webhook=https://hooks.example.net/T0/secret", "--notify", "slack-file=/etc/slack", "--interval", "30s"}
	for range 2 {
		if said := monitored(t, spec, exitOK, first...); strings.Contains(said, "the last time") {
			t.Errorf("with the same flags: got %s, want nothing of the last time", said)
		}
	}
	said := monitored(t, spec, exitOK, dir)
	for _, want := range []string{
		"--notify was webhook=https://hooks.example.net/…, slack-file=/etc/slack the last time, and is not given now",
		"--interval was 30s the last time, and is 15s now", "alertmanager.yml replaced", "nobody is told of an alert yet",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("without flags: got %s, want %q in it", said, want)
		}
	}
	if strings.Contains(said, "secret") {
		t.Errorf("it shows the address of a webhook as a whole: %s", said)
	}
}
