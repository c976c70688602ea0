package render

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

var update = flag.Bool("update", false, "write the golden files")

const peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

// relaysView is a view as a command makes one.
type relaysView struct {
	Relays []relayRow `json:"relays"`
	Zone   zoneRow    `json:"zone"`
	Silent []string   `json:"silent"`
}

type relayRow struct {
	Node   string        `json:"node"`
	PeerID string        `json:"peer_id"`
	Held   *int          `json:"held"`
	Ready  bool          `json:"ready"`
	Age    time.Duration `json:"age"`
	Seen   time.Time     `json:"seen"`
	Share  float64       `json:"share"`
	Reason string        `json:"reason"`
}

type zoneRow struct {
	Name    string   `json:"name"`
	Records []string `json:"records"`
}

func (v relaysView) Table() Table {
	t := Table{
		Title: "Relays",
		Facts: []Fact{{"fleet", "blue"}, {"peak", nil}, {"reservations served", 1204}},
		Columns: []Column{
			{Name: "node"}, {Name: "peer_id"}, {Name: "held"}, {Name: "ready"}, {Name: "age"},
			{Name: "seen", Show: WideOnly}, {Name: "share", Show: CSVOnly}, {Name: "reason", Show: NoCSV},
		},
		Notes: []string{"Silent: " + strings.Join(v.Silent, ", ") + ". What they counted is missing above, and their records stay."},
		More: []Table{
			{Title: "Zone", Columns: []Column{{Name: "name"}}, Rows: [][]any{{v.Zone.Name}}},
			{Title: "Orphans", Columns: []Column{{Name: "id"}}, Empty: "none"},
		},
	}
	for _, r := range v.Relays {
		ready := Toned{r.Ready, Good}
		if !r.Ready {
			ready.Tone = Bad
		}
		t.Rows = append(t.Rows, []any{r.Node, PeerID(r.PeerID), r.Held, ready, r.Age, r.Seen, r.Share, r.Reason})
	}
	return t
}

func exampleView() relaysView {
	held, none := 1204, 0
	return relaysView{
		Relays: []relayRow{
			{Node: "fra1-1", PeerID: peer, Held: &held, Ready: true, Age: 50*time.Hour + 12*time.Minute, Seen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Share: 0.25},
			{Node: "nyc1-1", Held: nil, Age: 0, Reason: "dial 192.0.2.7:9100: i/o timeout after three attempts, which says nothing of the box itself"},
			{Node: "sgp1-1", PeerID: peer, Held: &none, Ready: true, Age: 1500 * time.Millisecond, Share: 2, Reason: "世界 \x1b[31mred\u202e\xff"},
		},
		Zone:   zoneRow{Name: "_dnsaddr.p2p.blue.test"},
		Silent: []string{"nyc1-1"},
	}
}

// golden compares got with a file that somebody has read.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestWrite_EveryFormatIsAsItWasRead(t *testing.T) {
	for name, o := range map[string]Options{
		"table":      {},
		"table-80":   {Width: 80},
		"table-200":  {Width: 200},
		"table-bare": {NoHeader: true},
		"colour-80":  {Width: 80, Colour: true},
		"wide":       {Format: FormatWide},
		"json":       {Format: FormatJSON},
		"yaml":       {Format: FormatYAML},
		"csv":        {Format: FormatCSV},
		"csv-bare":   {Format: FormatCSV, NoHeader: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Write(&out, exampleView(), o); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.String())
		})
	}
}

func TestWrite_NoLineIsWiderThanTheTerminal(t *testing.T) {
	for width := 70; width <= 220; width++ {
		var out bytes.Buffer
		if err := Write(&out, exampleView(), Options{Width: width, Colour: width%2 == 0}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if got := twwidth.Width(line); got > width {
				t.Errorf("at %d columns a line is %d wide: %q", width, got, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("at %d columns a line ends in spaces: %q", width, line)
			}
		}
	}
}

func TestWrite_WithoutColourThereIsNoEscape(t *testing.T) {
	for _, name := range FormatNames() {
		var out bytes.Buffer
		if err := Write(&out, exampleView(), Options{Format: Format(name), Width: 80}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unsafe(r) }) {
			t.Errorf("%s holds a character that a terminal acts on:\n%q", name, out.String())
		}
	}
}

func TestWrite_JSONListsAreNeverNull(t *testing.T) {
	type inner struct{ List []int }
	type all struct {
		List   []string
		Map    map[string][]int
		Nested []inner
		Behind *inner
		Absent *inner
		Any    any
		Array  [1]inner
		Opt    []string `json:",omitempty"`
		At     time.Time
		hidden []int
	}
	v := all{Map: map[string][]int{"a": nil}, Nested: []inner{{}}, Behind: &inner{}, Any: inner{}, hidden: []int{1}}
	text, err := encodeJSON(v, "")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"List":[],"Map":{"a":[]},"Nested":[{"List":[]}],"Behind":{"List":[]},"Absent":null,"Any":{"List":[]},"Array":[{"List":[]}],"At":"0001-01-01T00:00:00Z"}` + "\n"
	if string(text) != want {
		t.Errorf("got  %swant %s", text, want)
	}
}

func TestWrite_YAMLTellsTextFromNumbers(t *testing.T) {
	type view struct {
		A, B, C, D, E string
		N             uint64
		I             int64
		F             float64
		L             []string
	}
	var out bytes.Buffer
	err := writeYAML(&out, view{A: "1", B: "true", C: "null", D: "a: b # c", E: "two\nlines\u202e", N: 1<<64 - 1, I: -5, F: 1.5})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "scalars", out.String())
}

func TestWrite_UnknownFormatNamesTheAcceptedOnes(t *testing.T) {
	err := Write(&bytes.Buffer{}, exampleView(), Options{Format: "xml"})
	if err == nil || !strings.Contains(err.Error(), "table, wide, json, yaml, csv") {
		t.Errorf("got %v, want an error that names the formats", err)
	}
}

// full is a writer on a full disk.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWrite_TellsThatNothingWasWritten(t *testing.T) {
	for _, name := range FormatNames() {
		if err := Write(full{}, exampleView(), Options{Format: Format(name)}); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want %v", name, err, errFull)
		}
	}
}

func TestElapsed_ShowsTwoUnitsAtMost(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10: "<1ms", 850 * time.Millisecond: "850ms", 4200 * time.Millisecond: "4.2s",
		59960 * time.Millisecond: "1m00s", 185 * time.Second: "3m05s", 2*time.Hour + 7*time.Minute: "2h07m",
		123 * time.Hour: "5d03h", -90 * time.Second: "-1m30s", -1 << 63: "-106751d23h",
	} {
		if got := Elapsed(d); got != want {
			t.Errorf("Elapsed(%d): got %q, want %q", d, got, want)
		}
	}
}

func TestColourful_FollowsFlagThenEnvironmentThenTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		mode     string
		env      map[string]string
		terminal bool
		want     bool
	}{
		"terminal":            {terminal: true, want: true},
		"pipe":                {},
		"NO_COLOR":            {env: map[string]string{"NO_COLOR": "1"}, terminal: true},
		"CLICOLOR=0":          {env: map[string]string{"CLICOLOR": "0"}, terminal: true},
		"dumb":                {env: map[string]string{"TERM": "dumb"}, terminal: true},
		"forced":              {env: map[string]string{"CLICOLOR_FORCE": "1"}, want: true},
		"forced by 0":         {env: map[string]string{"CLICOLOR_FORCE": "0"}},
		"NO_COLOR and forced": {env: map[string]string{"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, terminal: true},
		"always in a pipe":    {mode: ColourAlways, env: map[string]string{"NO_COLOR": "1"}, want: true},
		"never on a terminal": {mode: ColourNever, env: map[string]string{"CLICOLOR_FORCE": "1"}, terminal: true},
	} {
		t.Run(name, func(t *testing.T) {
			got := Colourful(c.mode, func(k string) string { return c.env[k] }, c.terminal)
			if got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
