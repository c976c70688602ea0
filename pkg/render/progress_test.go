package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

func event(kind fleet.EventKind, node string, elapsed time.Duration, detail string, err error) fleet.Event {
	return fleet.Event{
		Kind: kind, Stage: fleet.StageProvision, Elapsed: elapsed, Detail: detail, Err: err,
		Change: fleet.Change{Action: fleet.ActionCreate, Ref: fleet.Ref{Kind: fleet.KindMachine, Node: node}},
	}
}

// story is a run of two minutes with one success, one failure and a hostile note.
func story(p *Progress) {
	p.Event(event(fleet.EventStarted, "nyc1-1", 0, "", nil))
	p.Event(event(fleet.EventStarted, "fra1-1", 0, "", nil))
	p.Event(event(fleet.EventWaiting, "nyc1-1", 0, "SSH to answer", nil))
	time.Sleep(65 * time.Second) // of the bubble's clock
	p.Event(event(fleet.EventDone, "nyc1-1", 65*time.Second, "", nil))
	p.Event(event(fleet.EventFailed, "fra1-1", 65*time.Second, "", errors.New("quota\x1b[2J")))
	p.Event(fleet.Event{Kind: fleet.EventNote, Detail: "looking again"})
	time.Sleep(time.Minute) // of the bubble's clock
	p.Close()
}

func TestProgress_OffATerminalOneLinePerChangeAndAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		story(NewProgress(&out, ProgressOptions{}))
		want := `… nyc1-1 create 30.0s: SSH to answer; fra1-1 create 30.0s
… nyc1-1 create 1m00s: SSH to answer; fra1-1 create 1m00s
✓ nyc1-1 create (1m05s)
✗ fra1-1 create (1m05s): quota[2J
  looking again
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
	})
}

func TestProgress_QuietTellsFailuresOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		story(NewProgress(&out, ProgressOptions{Quiet: true}))
		if want := "✗ fra1-1 create (1m05s): quota[2J\n"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

func TestProgress_JSONIsOneEventPerLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		story(NewProgress(&out, ProgressOptions{JSON: true, Live: true}))
		kinds := make(map[string]int)
		for line := range strings.Lines(out.String()) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			kinds[e["event"].(string)]++
		}
		if kinds["started"] != 2 || kinds["done"] != 1 || kinds["failed"] != 1 || kinds["note"] != 1 || kinds["waiting"] < 3 {
			t.Errorf("events: got %v", kinds)
		}
	})
}

func TestProgress_LiveLineFitsAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		story(NewProgress(&out, ProgressOptions{Live: true, Width: func() int { return 40 }}))
		const clear = "\r\x1b[K"
		for _, part := range strings.Split(out.String(), clear) {
			if drawn, _, _ := strings.Cut(part, "\n"); strings.Contains(part, "create ") && !strings.Contains(part, "\n") && len([]rune(drawn)) > 39 {
				t.Errorf("a live line is wider than the terminal: %q", drawn)
			}
		}
		if !strings.HasSuffix(out.String(), "  looking again\n") {
			t.Errorf("the live line stays: %q", out.String()[max(0, out.Len()-80):])
		}
	})
}
