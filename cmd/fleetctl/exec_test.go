package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/render"
)

// endedView is an exec whose boxes ended in this order.
func endedView(stderr *bytes.Buffer, rows []execRow, order ...int) *execView {
	ended := make(chan int, len(order))
	for _, i := range order {
		ended <- i
	}
	close(ended)
	return &execView{rows: rows, ended: ended, stderr: stderr}
}

func exited(code int) *int { return &code }

func TestExec_PrintsBoxesAsTheyEndAndNeverMixesTheirLines(t *testing.T) {
	var stdout, stderr bytes.Buffer
	v := endedView(&stderr, []execRow{
		{Node: "nyc1-1", Stdout: "a\nb", Exit: exited(0)},
		{Node: "amsterdam-10", Stdout: "c\n\nd\r\n", Stderr: "careful\x1b[2J\n", Truncated: true, Exit: exited(0)},
	}, 1, 0)
	if err := v.Text(&stdout, render.Options{}); err != nil {
		t.Fatal(err)
	}
	want := "amsterdam-10: c\namsterdam-10: \namsterdam-10: d\nnyc1-1:       a\nnyc1-1:       b\n"
	if stdout.String() != want {
		t.Errorf("stdout: got %q, want %q", stdout.String(), want)
	}
	want = "amsterdam-10: careful[2J\namsterdam-10: (more than that was cut off)\n"
	if stderr.String() != want {
		t.Errorf("stderr: got %q, want %q", stderr.String(), want)
	}
}

func TestExec_PassesTheBareOutputOfOneBoxOn(t *testing.T) {
	var stdout, stderr bytes.Buffer
	v := endedView(&stderr, []execRow{{Node: "nyc1-1", Stdout: "a\n", Stderr: "b\n", Exit: exited(0)}}, 0)
	if err := v.Text(&stdout, render.Options{}); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "a\n" || stderr.String() != "b\n" {
		t.Errorf("got %q and %q, want %q and %q", stdout.String(), stderr.String(), "a\n", "b\n")
	}
}

func TestExec_JSONIsInTheOrderOfSelection(t *testing.T) {
	v := endedView(nil, []execRow{{Node: "b"}, {Node: "a"}}, 1, 0)
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var rows []execRow
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) != 2 || rows[0].Node != "b" {
		t.Errorf("rows: got %s (%v), want b, then a", text, err)
	}
}

func TestExec_PassesTheRemoteCodeOnForExactlyOneBox(t *testing.T) {
	gone := errors.New("nyc1-1 (192.0.2.1:22): dial: no route")
	for name, c := range map[string]struct {
		rows []execRow
		want int
		says string
	}{
		"one that worked":        {[]execRow{{Node: "nyc1-1", Exit: exited(0)}}, 0, ""},
		"one that failed":        {[]execRow{{Node: "nyc1-1", Exit: exited(42)}}, 42, ""},
		"one that did not run":   {[]execRow{{Node: "nyc1-1", err: gone}}, 3, "nyc1-1 (192.0.2.1:22): dial: no route"},
		"two that worked":        {[]execRow{{Node: "nyc1-1", Exit: exited(0)}, {Node: "fra1-1", Exit: exited(0)}}, 0, ""},
		"one of two that failed": {[]execRow{{Node: "nyc1-1", Exit: exited(0)}, {Node: "fra1-1", Exit: exited(42)}}, 3, "fra1-1: exit 42"},
		"both failed":            {[]execRow{{Node: "nyc1-1", err: errors.New("lost")}, {Node: "fra1-1", Exit: exited(1)}}, 3, "nyc1-1: lost\nfra1-1: exit 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := endedView(nil, c.rows).verdict()
			got := 0
			if err != nil {
				got = exitCode(err)
			}
			if got != c.want {
				t.Errorf("exit code: got %d, want %d", got, c.want)
			}
			var said []string
			if err != nil {
				for _, one := range printed(err) {
					said = append(said, one.Error())
				}
			}
			if got := strings.Join(said, "\n"); got != c.says {
				t.Errorf("errors: got %q, want %q", got, c.says)
			}
		})
	}
}

func TestLineWriter_PassesOnWholeLinesOnly(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	one := &lineWriter{to: &out, mu: &mu, lead: "a: "}
	two := &lineWriter{to: &out, mu: &mu, lead: "b: "}
	for _, w := range []struct {
		to   *lineWriter
		text string
	}{{one, "he"}, {two, "x\ny"}, {one, "llo\x1b[0m\n\n"}, {two, "z"}} {
		if _, err := w.to.Write([]byte(w.text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []*lineWriter{one, two} {
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "b: x\na: hello[0m\na: \nb: yz\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
