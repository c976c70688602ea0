package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/relayfleet/fleetctl"

// pack is what `go list -json` says of a package.
type pack struct {
	ImportPath string
	Imports    []string // direct
	Deps       []string // all of them, with -deps
	Standard   bool
}

func (p pack) ours() (path string, ok bool) {
	return strings.CutPrefix(p.ImportPath, module+"/")
}

// goList lists our packages and everything that they link, by import path.
func goList(t *testing.T) map[string]pack {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Deps,Standard", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	packs := make(map[string]pack)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pack
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packs
		case err != nil:
			t.Fatal(err)
		}
		packs[p.ImportPath] = p
	}
}

// below reports whether a package is at one of the paths or below one.
func below(path string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

// TestDeps holds the fences of the imports, each with its reason.
func TestDeps(t *testing.T) {
	packs := goList(t)
	t.Run("NothingReachesThroughAFence", func(t *testing.T) { nothingReachesThroughAFence(t, packs) })
	t.Run("EachDirectImportIsAllowed", func(t *testing.T) { eachDirectImportIsAllowed(t, packs) })
	t.Run("PackagesPointInward", func(t *testing.T) { packagesPointInward(t, packs) })
	t.Run("NoFakeIsShipped", func(t *testing.T) { noFakeIsShipped(t, packs) })
	t.Run("StatsNeedsTheStandardLibraryOnly", func(t *testing.T) { statsNeedsTheStandardLibraryOnly(t, packs) })
}

// nothingReachesThroughAFence checks what a package links, however far away.
func nothingReachesThroughAFence(t *testing.T, packs map[string]pack) {
	for _, fence := range []struct {
		of, not []string // packages of ours; what none of them may link
		reason  string
	}{
		{
			of:     []string{"fleet", "dnsaddr", "stats"},
			not:    []string{"net/http", "os/exec", "log/slog", "crypto/tls", module + "/pkg", module + "/relay", module + "/cmd"},
			reason: "the core decides and is told everything else: it reaches no network, starts no process and logs nothing",
		},
		{
			of:     []string{"fleet", "dnsaddr", "stats"},
			not:    []string{"github.com/digitalocean", "github.com/cloudflare", "github.com/miekg/dns", "golang.org/x/crypto/ssh", "github.com/libp2p/go-libp2p"},
			reason: "nothing above the provider and the zone may know which one it talks to",
		},
		{
			of:     []string{"dnsaddr", "stats"},
			not:    []string{module + "/fleet"},
			reason: "imports point inward: fleet stands on dnsaddr, and stats on nothing",
		},
		{
			of:     []string{"cmd/fleetctl"},
			not:    []string{module + "/relay"},
			reason: "fleetctl drives relays of other versions than its own: what it knows of one, it reads over HTTP",
		},
		{
			of:     []string{"relay", "cmd/relay"},
			not:    []string{module + "/fleet", module + "/dnsaddr", module + "/pkg"},
			reason: "the daemon runs without a fleet, and a box has no business with DNS or a provider",
		},
		{
			of:     []string{"cmd/fleetctl"},
			not:    []string{"testing"},
			reason: "what is shipped contains no test code (cmd/relay links it through go-libp2p-kad-dht, which imports it)",
		},
		{
			of:     []string{"cmd/fleetctl", "cmd/relay"},
			not:    []string{"net/http/httptest", "testing/synctest", "pgregory.net/rapid", "github.com/google/go-cmp", "go.uber.org/goleak"},
			reason: "what is shipped contains no test code: no fake can be used by mistake",
		},
		{
			of:     []string{"cmd/fleetctl", "cmd/relay"},
			not:    []string{"net/http/pprof"},
			reason: "it registers handlers by being imported",
		},
	} {
		for _, of := range fence.of {
			p, ok := packs[module+"/"+of]
			if !ok {
				t.Errorf("%s is gone: a fence around nothing", of)
			}
			for _, dep := range p.Deps {
				if below(dep, fence.not...) {
					t.Errorf("%s links %s: %s", of, dep, fence.reason)
				}
			}
		}
	}
}

// eachDirectImportIsAllowed checks who may import what by name, tests left out.
func eachDirectImportIsAllowed(t *testing.T, packs map[string]pack) {
	for _, fence := range []struct {
		what   []string // imports
		by     []string // the only packages of ours that may have them
		reason string
	}{
		{
			what: []string{"github.com/libp2p"}, by: []string{"relay", "cmd/relay", "pkg/probe"},
			reason: "go-libp2p is 20 MB and starts goroutines: the daemon and the probe need it, nothing else does",
		},
		{
			what: []string{"github.com/miekg/dns"}, by: []string{"pkg/zone", "pkg/probe", "pkg/resolve"},
			reason: "only a zone and who asks one speak DNS",
		},
		{
			what: []string{"github.com/cloudflare"}, by: []string{"pkg/zone/cloudflare"},
			reason: "only a zone at Cloudflare knows Cloudflare's API",
		},
		{
			what: []string{"golang.org/x/crypto/ssh", "github.com/pkg/sftp", "github.com/gliderlabs/ssh"}, by: []string{"pkg/sshx", "pkg/provider", "pkg/host", "pkg/statedir"},
			reason: "SSH goes through pkg/sshx, where host keys are pinned; a provider keeps keys and may be a data centre",
		},
		{
			what: []string{"github.com/olekukonko/tablewriter", "github.com/mattn/go-isatty", "golang.org/x/term"}, by: []string{"pkg/render", "pkg/sshx", "cmd/fleetctl"},
			reason: "pkg/render is the only package that knows what a terminal is; sshx and cmd ask for secrets and answers on one",
		},
		{
			what: []string{"gonum.org/v1/plot"}, by: []string{"pkg/chart"},
			reason: "only a chart knows how to draw: it carries fonts",
		},
		{
			what: []string{"modernc.org/sqlite", "github.com/parquet-go"}, by: []string{"pkg/history"},
			reason: "the history is asked through pkg/history, which knows what an answer leaves out",
		},
		{
			what: []string{"github.com/spf13/cobra"}, by: []string{"cmd"},
			reason: "commands are the outermost layer",
		},
	} {
		for _, p := range packs {
			path, ok := p.ours()
			if !ok || below(path, fence.by...) || below(path, "testdata") {
				continue
			}
			for _, imported := range p.Imports {
				if below(imported, fence.what...) {
					t.Errorf("%s imports %s, allowed in %s: %s", path, imported, strings.Join(fence.by, ", "), fence.reason)
				}
			}
		}
	}
}

// packagesPointInward checks every import of one package of ours by another.
func packagesPointInward(t *testing.T, packs map[string]pack) {
	allowed := map[string][]string{ // first element of the path: what it may import
		"cmd":     {"pkg", "fleet", "dnsaddr", "stats"},
		"pkg":     {"pkg", "fleet", "dnsaddr", "stats"},
		"relay":   {"stats", "relay"},
		"fleet":   {"fleet", "dnsaddr"},
		"dnsaddr": {"dnsaddr"},
		"stats":   {},
	}
	for _, p := range packs {
		path, ok := p.ours()
		if !ok || below(path, "testdata") {
			continue
		}
		layer, _, _ := strings.Cut(path, "/")
		may, known := allowed[layer]
		if !known {
			t.Errorf("%s is in no layer: the visible top level is fixed", path)
			continue
		}
		if path == "cmd/relay" {
			may = []string{"relay", "stats"}
		}
		for _, imported := range p.Imports {
			if inner, ours := (pack{ImportPath: imported}).ours(); ours && !below(inner, may...) {
				t.Errorf("%s imports %s, allowed are %s", path, inner, strings.Join(may, ", "))
			}
		}
	}
}

// noFakeIsShipped checks that packages for tests (providertest, sshtest) are not linked.
func noFakeIsShipped(t *testing.T, packs map[string]pack) {
	for _, of := range []string{"cmd/fleetctl", "cmd/relay"} {
		for _, dep := range packs[module+"/"+of].Deps {
			if inner, ours := (pack{ImportPath: dep}).ours(); ours && strings.HasSuffix(inner, "test") {
				t.Errorf("%s links %s, which is for tests", of, inner)
			}
		}
	}
}

// statsNeedsTheStandardLibraryOnly holds the promise of its package comment.
func statsNeedsTheStandardLibraryOnly(t *testing.T, packs map[string]pack) {
	for _, dep := range packs[module+"/stats"].Deps {
		if !packs[dep].Standard {
			t.Errorf("stats links %s: what is counted must be readable by anything", dep)
		}
	}
}
