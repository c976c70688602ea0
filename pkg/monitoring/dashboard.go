package monitoring

import (
	"bytes"
	"encoding/json"
)

// dashboard is Grafana's classic model of a dashboard, as far as ours uses it.
type dashboard struct {
	UID           string         `json:"uid"`
	Title         string         `json:"title"`
	Description   string         `json:"description"`
	Tags          []string       `json:"tags"`
	Timezone      string         `json:"timezone"`
	Editable      bool           `json:"editable"`
	GraphTooltip  int            `json:"graphTooltip"` // 1: one crosshair through all panels
	Refresh       string         `json:"refresh"`
	SchemaVersion int            `json:"schemaVersion"`
	Time          timeRange      `json:"time"`
	Templating    list[any]      `json:"templating"`
	Annotations   list[struct{}] `json:"annotations"`
	Links         []link         `json:"links"`
	Panels        []panel        `json:"panels"`
}

type list[T any] struct {
	List []T `json:"list"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type link struct {
	Title       string `json:"title"`
	Type        string `json:"type"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

// sourceVariable chooses a Prometheus; queryVariable asks it for values.
type sourceVariable struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Type  string `json:"type"`
	Query string `json:"query"`
}

type queryVariable struct {
	Name       string        `json:"name"`
	Label      string        `json:"label"`
	Type       string        `json:"type"`
	Datasource source        `json:"datasource"`
	Query      variableQuery `json:"query"`
	Definition string        `json:"definition"`
	Refresh    int           `json:"refresh"` // 2: when the range of time changes
	Sort       int           `json:"sort"`    // 1: by the alphabet
}

type variableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int         `json:"id"`
	Type        string      `json:"type"` // "stat", "timeseries", "table"
	Title       string      `json:"title"`
	Description string      `json:"description"`
	GridPos     gridPos     `json:"gridPos"`
	Datasource  source      `json:"datasource"`
	Targets     []query     `json:"targets"`
	FieldConfig fieldConfig `json:"fieldConfig"`
	Options     any         `json:"options"`
}

// gridPos is a place on a grid of 24 columns.
type gridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

type query struct {
	RefID        string `json:"refId"`
	Datasource   source `json:"datasource"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
	Format       string `json:"format"`
}

type fieldConfig struct {
	Defaults  fieldDefaults `json:"defaults"`
	Overrides []struct{}    `json:"overrides"`
}

type fieldDefaults struct {
	Unit       string      `json:"unit"`
	NoValue    string      `json:"noValue"`
	Min        *float64    `json:"min,omitempty"`
	Max        *float64    `json:"max,omitempty"`
	Color      colour      `json:"color"`
	Thresholds *thresholds `json:"thresholds,omitempty"`
}

type colour struct {
	Mode string `json:"mode"`
}

type thresholds struct {
	Mode  string      `json:"mode"`
	Steps []threshold `json:"steps"`
}

// threshold is a colour from a value on; a nil value is from the smallest.
type threshold struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type statOptions struct {
	ColorMode     string        `json:"colorMode"`
	GraphMode     string        `json:"graphMode"`
	ReduceOptions reduceOptions `json:"reduceOptions"`
}

type reduceOptions struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

type seriesOptions struct {
	Legend  legendOptions  `json:"legend"`
	Tooltip tooltipOptions `json:"tooltip"`
}

type legendOptions struct {
	DisplayMode string `json:"displayMode"`
	Placement   string `json:"placement"`
	ShowLegend  bool   `json:"showLegend"`
}

type tooltipOptions struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}

// prometheus is the one that the reader of the dashboard chose.
var prometheus = source{Type: "prometheus", UID: "${datasource}"}

// dashboardText is the dashboard of every fleet that the chosen Prometheus watches, one at a time.
func dashboardText(runbook string) ([]byte, error) {
	d := dashboard{
		UID: "fleetctl-fleet", Title: "Relay fleet", Description: "Written by 'fleetctl monitoring init'. What is not known is shown as unknown, and is not 0.",
		Tags: []string{"fleetctl"}, Timezone: "utc", Editable: true, GraphTooltip: 1, Refresh: "1m", SchemaVersion: 39,
		Time: timeRange{"now-24h", "now"}, Annotations: list[struct{}]{List: []struct{}{}},
		Links: []link{{Title: "Runbook", Type: "link", URL: runbook, TargetBlank: true}},
	}
	fleets := `label_values(up{job=~"fleetctl|relay"}, fleet)`
	d.Templating.List = []any{
		sourceVariable{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus"},
		queryVariable{Name: "fleet", Label: "Fleet", Type: "query", Datasource: prometheus, Query: variableQuery{fleets, "fleet"}, Definition: fleets, Refresh: 2, Sort: 1},
	}
	x, y, height := 0, 0, 0
	for i, c := range charts() {
		if x+c.width > 24 {
			x, y, height = 0, y+height, 0
		}
		d.Panels = append(d.Panels, c.panel(i+1, x, y))
		x, height = x+c.width, max(height, c.height)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return text.Bytes(), err
}
