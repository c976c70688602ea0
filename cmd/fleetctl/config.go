package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newConfig(a *app) *cobra.Command {
	return group("config", "Check and show fleet.yaml",
		newConfigValidate(a),
		newConfigView(a),
		newConfigSchema(a),
	)
}

func newConfigValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "validate",
		Short:             "Check fleet.yaml and name every problem with its line",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.loadSpec()
			if err != nil {
				return err
			}
			return a.show(newValidView(a.globals.config, s))
		},
	}
}

// validView says that a spec is in order, and what it asks for.
type validView struct {
	File     string   `json:"file"`
	Valid    bool     `json:"valid"`
	Name     string   `json:"name"`
	Provider string   `json:"provider"`
	Domain   string   `json:"domain"`
	Nodes    []string `json:"nodes"`
}

func newValidView(file string, s fleet.Spec) validView {
	v := validView{File: file, Valid: true, Name: s.Name, Provider: s.Provider, Domain: s.DNS.Domain}
	for _, slot := range s.Slots() {
		v.Nodes = append(v.Nodes, slot.Node)
	}
	return v
}

func (v validView) Table() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "file"}, {Name: "valid"}, {Name: "name"}, {Name: "provider"}, {Name: "domain"}, {Name: "nodes"}},
		Rows:    [][]any{{v.File, v.Valid, v.Name, v.Provider, v.Domain, v.Nodes}},
	}
}

func (v validView) Text(w io.Writer, _ render.Options) error {
	_, err := fmt.Fprintf(w, "%s is in order: fleet %s, provider %s, nodes %s\n",
		render.Safe(v.File), v.Name, v.Provider, render.Safe(strings.Join(v.Nodes, " ")))
	return err
}

func newConfigView(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "view",
		Short:             "Show the spec with every default written out",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.loadSpec()
			if err != nil {
				return err
			}
			return a.show(specView{s})
		},
	}
}

// specView is a whole spec. Every format has the names and the units of the file.
type specView struct{ spec fleet.Spec }

func (v specView) MarshalJSON() ([]byte, error) { return yaml.YAMLToJSON(fleet.Encode(v.spec)) }

func (v specView) Text(w io.Writer, _ render.Options) error {
	_, err := w.Write(fleet.Encode(v.spec))
	return err
}

// Table lists the keys and their values, for CSV.
func (v specView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "key"}, {Name: "value"}}}
	var tree yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(fleet.Encode(v.spec), &tree, yaml.UseOrderedMap()); err != nil {
		return t
	}
	flatten("", tree, func(key string, value any) { t.Rows = append(t.Rows, []any{key, value}) })
	return t
}

// flatten names every leaf of a tree: dns.ttl, nodes[0].region.
func flatten(key string, value any, leaf func(string, any)) {
	switch v := value.(type) {
	case yaml.MapSlice:
		for _, item := range v {
			flatten(strings.TrimPrefix(fmt.Sprintf("%s.%v", key, item.Key), "."), item.Value, leaf)
		}
	case []any:
		for i, item := range v {
			flatten(fmt.Sprintf("%s[%d]", key, i), item, leaf)
		}
	default:
		leaf(key, value)
	}
}

func newConfigSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "schema",
		Short:             "Print the JSON Schema of fleet.yaml, for editors",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return a.show(schemaView{}) },
	}
}

// schemaView is the JSON Schema of the spec. It is JSON for people, too.
type schemaView struct{}

func (schemaView) MarshalJSON() ([]byte, error) { return json.RawMessage(fleet.Schema()), nil } //nolint:unparam // the shape of json.Marshaler
func (schemaView) Table() render.Table          { return render.Table{} }

func (schemaView) Text(w io.Writer, _ render.Options) error {
	_, err := w.Write(fleet.Schema())
	return err
}
