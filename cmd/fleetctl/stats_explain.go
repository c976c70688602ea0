package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStatsExplain(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [METRIC]",
		Short: "Say what a figure means and what it cannot say",
		Example: `  fleetctl stats explain
  fleetctl stats explain lifetime_unique_peers`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMetric,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.show(newMetricsView(stats.Metrics()))
			}
			if err := exactArgs("METRIC")(cmd, args); err != nil {
				return err
			}
			m, err := metricOf(cmd, args[0])
			if err != nil {
				return err
			}
			return a.show(metricView{metricRow: newMetricRow(m), metric: m})
		},
	}
}

// metricRow is the definition of a metric.
type metricRow struct {
	Name       string `json:"name"`
	Alias      string `json:"alias"` // "" if it has none
	Unit       string `json:"unit"`
	Kind       string `json:"kind"` // total, period, moment, cohorts
	By         string `json:"by"`   // what it is split by, "" for nothing
	Title      string `json:"title"`
	Definition string `json:"definition"`
	Source     string `json:"source"`
	Limits     string `json:"limits"`
}

func newMetricRow(m stats.Metric) metricRow {
	return metricRow{
		Name: m.Name, Alias: m.Alias, Unit: m.Unit, Kind: string(m.Kind), By: m.By, Title: m.Title,
		Definition: m.Definition, Source: m.Source, Limits: m.Limits,
	}
}

// metricsView is the list of all metrics.
type metricsView struct {
	Metrics []metricRow `json:"metrics"`
}

func newMetricsView(all []stats.Metric) metricsView {
	var v metricsView
	for _, m := range all {
		v.Metrics = append(v.Metrics, newMetricRow(m))
	}
	return v
}

func (v metricsView) Table() render.Table { return tableOf(v.Metrics) }

func tableOf(rows []metricRow) render.Table {
	t := render.Table{Columns: []render.Column{
		{Name: "metric"}, {Name: "short name"}, {Name: "title"}, {Name: "unit", Drop: 1}, {Name: "over time", Drop: 3}, {Name: "split by", Drop: 2},
		{Name: "definition", Show: render.CSVOnly}, {Name: "source", Show: render.CSVOnly}, {Name: "limits", Show: render.CSVOnly},
	}}
	for _, r := range rows {
		t.Rows = append(t.Rows, []any{r.Name, r.Alias, r.Title, r.Unit, r.Kind, r.By, r.Definition, r.Source, r.Limits})
	}
	return t
}

// metricView is one metric, in words for people.
type metricView struct {
	metricRow
	metric stats.Metric
}

var _ render.TextView = metricView{}

func (v metricView) Table() render.Table { return tableOf([]metricRow{v.metricRow}) }

// Text is the definition as paragraphs, under the metric's name.
func (v metricView) Text(w io.Writer, o render.Options) error {
	width := o.Width
	if width == 0 {
		width = 100 // a paragraph has an end
	}
	var out strings.Builder
	out.WriteString(v.Name + "\n")
	for line := range strings.Lines(v.metric.Explain()) {
		line = strings.ReplaceAll(render.SafeUpTo(strings.TrimSuffix(line, "\n"), 4000), "`", "")
		out.WriteString(strings.Join(render.Wrap(line, width), "\n") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}
