package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

func TestCopy_TellsTheBoxesSideFromTheLocalOne(t *testing.T) {
	for name, c := range map[string]struct {
		src, dst string
		sel      selection
		want     copyOrder
		on       string
		fails    string
	}{
		"to a node":                {"motd", "nyc1-1:/etc/motd", selection{}, copyOrder{local: "motd", remote: "/etc/motd"}, "nyc1-1", ""},
		"to a directory of a node": {"./x/motd", "nyc1-1:/etc/", selection{}, copyOrder{local: "./x/motd", remote: "/etc/motd"}, "nyc1-1", ""},
		"from a node":              {"nyc1-1:/etc/motd", ".", selection{}, copyOrder{fetch: true, local: ".", remote: "/etc/motd", intoDir: true}, "nyc1-1", ""},
		"from a glob":              {"nyc*:/etc/motd", "out/", selection{}, copyOrder{fetch: true, local: "out/", remote: "/etc/motd", intoDir: true}, "nyc*", ""},
		"to a selection":           {"motd", ":/etc/motd", selection{region: []string{"nyc1"}}, copyOrder{local: "motd", remote: "/etc/motd"}, "", ""},
		"a colon behind a slash":   {"./a:b", "nyc1-1:/tmp/a", selection{}, copyOrder{local: "./a:b", remote: "/tmp/a"}, "nyc1-1", ""},
		"both local":               {"a", "b", selection{}, copyOrder{}, "", "one of SRC and DST has to be on a box"},
		"both on boxes":            {"nyc1-1:/a", "fra1-1:/a", selection{}, copyOrder{}, "", "one of SRC and DST has to be on a box"},
		"a node and a selection":   {"a", "nyc1-1:/a", selection{on: []string{"fra1"}}, copyOrder{}, "", "and a selection were given"},
		"no node, no selection":    {"a", ":/a", selection{}, copyOrder{}, "", "--on is missing"},
		"a directory of a box":     {"nyc1-1:/etc/", ".", selection{}, copyOrder{}, "", "a directory cannot be copied"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseCopy(c.src, c.dst, &c.sel)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error: got %v, want %q in it", err, c.fails)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("order: got %+v (%v), want %+v", got, err, c.want)
			}
			if on := strings.Join(c.sel.on, ","); on != c.on {
				t.Errorf("selector: got %q, want %q", on, c.on)
			}
		})
	}
}

// copySession is a session over one box, and the box's "/".
func copySession(t *testing.T, opts ...sshtest.Option) (*session, fleet.Machine, string) {
	t.Helper()
	a, _, _ := testApp(t)
	a.now = time.Now
	a.wrapRunner = func(r sshx.Runner) sshx.Runner { return r }
	box := sshtest.Start(t, opts...)
	client := sshtest.Client(t, sshx.Config{}, box)
	return &session{app: a, ssh: client, hosts: host.New(host.Config{Runner: client, Tunnel: client})}, machineAt(t, box), box.Dir
}

func TestCopy_FetchesWholeAndOverwritesNothing(t *testing.T) {
	s, m, dir := copySession(t)
	write(t, filepath.Join(dir, "peer-id.txt"), "12D3\n")
	there := filepath.Join(s.app.dir, "there")
	write(t, there, "mine")

	o := copyOrder{fetch: true, remote: "/peer-id.txt", local: there, parallel: 1}
	err := s.copy(t.Context(), []fleet.Machine{m}, o).verdict()
	if err == nil || !strings.Contains(err.Error(), "there is there already") || exitCode(err) != exitError {
		t.Errorf("a file that is there: got %v, want an error that names it", err)
	}
	if got := read(t, there); got != "mine" {
		t.Errorf("the file that is there: got %q, want it untouched", got)
	}

	o.force = true
	if err := s.copy(t.Context(), []fleet.Machine{m}, o).verdict(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, there); got != "12D3\n" {
		t.Errorf("fetched: got %q, want what the box has", got)
	}

	o = copyOrder{fetch: true, remote: "/peer-id.txt", local: s.app.dir, parallel: 2}
	other := m
	other.Node = "fra1-1"
	v := s.copy(t.Context(), []fleet.Machine{m, other}, o)
	if err := v.verdict(); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"nyc1-1", "fra1-1"} {
		file := filepath.Join(s.app.dir, "peer-id.txt."+node)
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, want a file of mode 0600", file, err)
		}
	}
	if v.Files[0].SHA256 == "" || v.Files[0].Bytes != 5 {
		t.Errorf("row: got %+v, want 5 bytes and their digest", v.Files[0])
	}
}

func TestCopy_WhatArrivedOtherwiseIsNotKept(t *testing.T) {
	for name, opt := range map[string]sshtest.Option{
		"a digest that differs": sshtest.LieAboutDigests(),
		"no digest": sshtest.WithExec(func(_ context.Context, _ []string, _ io.Reader, _, stderr io.Writer) int {
			fmt.Fprintln(stderr, "sha256sum: not found")
			return 127
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s, m, dir := copySession(t, opt)
			if name == "a digest that differs" {
				write(t, filepath.Join(dir, "a"), "text")
			}
			to := filepath.Join(s.app.dir, "a")
			err := s.copy(t.Context(), []fleet.Machine{m}, copyOrder{fetch: true, remote: "/a", local: to, parallel: 1}).verdict()
			if err == nil {
				t.Error("copy: got no error")
			}
			if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file: got %v, want none", err)
			}
			if left, _ := filepath.Glob(filepath.Join(s.app.dir, ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCopy_OneOfSeveralThatFailsIsNamed(t *testing.T) {
	s, m, dir := copySession(t)
	from := filepath.Join(s.app.dir, "motd")
	write(t, from, "hello\n")
	gone := fleet.Machine{Node: "fra1-1"}
	v := s.copy(t.Context(), []fleet.Machine{m, gone}, copyOrder{local: from, remote: "/etc/motd", parallel: 5})
	err := v.verdict()
	if err == nil || exitCode(err) != exitPartial || !strings.HasPrefix(err.Error(), "fra1-1: ") {
		t.Errorf("verdict: got %v, want exit 3 and the node", err)
	}
	if got := read(t, filepath.Join(dir, "etc", "motd")); got != "hello\n" {
		t.Errorf("on the box: got %q, want the file", got)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
