package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestDashboard_IsWhatGrafanaReads holds the dashboard to a schema of Grafana's model.
func TestDashboard_IsWhatGrafanaReads(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/dashboard.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text := filesOf(t, throughServe(t))[FileDashboard]
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Error(err)
	}
}

// TestDashboard_PanelsShareTheGrid finds panels with one ID, panels over each other, and
// queries of a panel with one name.
func TestDashboard_PanelsShareTheGrid(t *testing.T) {
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos gridPos
			Targets []query
		}
	}
	if err := json.Unmarshal([]byte(filesOf(t, direct())[FileDashboard]), &d); err != nil {
		t.Fatal(err)
	}
	taken := make(map[string]string)
	take := func(what, by string) {
		if other, twice := taken[what]; twice {
			t.Errorf("%s and %s both have %s", other, by, what)
		}
		taken[what] = by
	}
	for _, p := range d.Panels {
		take(fmt.Sprintf("the ID %d", p.ID), p.Title)
		take("the title "+p.Title, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			if x >= 24 {
				t.Fatalf("%s reaches column %d, and the grid has 24", p.Title, x)
			}
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				take(fmt.Sprintf("column %d of row %d", x, y), p.Title)
			}
		}
		for _, q := range p.Targets {
			take(fmt.Sprintf("query %s of panel %d", q.RefID, p.ID), p.Title)
		}
	}
	if len(d.Panels) < 10 {
		t.Errorf("got %d panels, want 10 and more", len(d.Panels))
	}
}
