package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newInit(a *app) *cobra.Command {
	var name string
	provider := choice{value: fleet.ProviderLocal, accepted: fleet.Providers()}
	cmd := &cobra.Command{
		Use:               "init",
		Short:             "Write a fleet.yaml for three relays, on this computer or elsewhere",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			written, err := a.writeExample(name, provider.value)
			if err != nil {
				return err
			}
			return a.show(written)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the fleet's `name` (default: after the directory)")
	cmd.Flags().Var(&provider, "provider", "where the machines are: "+strings.Join(fleet.Providers(), ", "))
	return cmd
}

// newID tells a fleet from any other.
func newID() string { return strings.ToLower(ulid.Make().String()) }

// initView is what `fleetctl init` did.
type initView struct {
	File string `json:"file"`
	Name string `json:"name"`
	Next string `json:"next"` // the command that comes next
}

func (v initView) Table() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "file"}, {Name: "name"}, {Name: "next"}},
		Rows:    [][]any{{v.File, v.Name, v.Next}},
	}
}

func (v initView) Text(w io.Writer, _ render.Options) error {
	_, err := fmt.Fprintf(w, "wrote %s: fleet %s\nnext: %s\n", render.Safe(v.File), v.Name, render.Safe(v.Next))
	return err
}

// writeExample writes the example spec where --config points, never over a file.
func (a *app) writeExample(name, provider string) (initView, error) {
	path := a.specPath()
	if name == "" {
		name = fleetName(filepath.Base(filepath.Dir(path)))
	}
	text := fleet.Example(name, provider, newID())
	if _, err := fleet.Load(text, a.globals.config); err != nil {
		err := fmt.Errorf("init: %q is no name for a fleet", name)
		return initView{}, fleet.WithHint(err, "choose lower-case letters, digits and hyphens, 32 at most: fleetctl init --name my-fleet")
	}
	if err := createFile(path, text); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err := fmt.Errorf("init: %s is there already", a.globals.config)
			return initView{}, fleet.WithHint(err, "edit it, remove it, or write another one: fleetctl init --config other.yaml")
		}
		return initView{}, fmt.Errorf("init: %w", err)
	}
	next := "fleetctl up"
	if a.globals.config != defaultConfig {
		next += " --config " + a.globals.config
	}
	return initView{File: a.globals.config, Name: name, Next: next}, nil
}

// createFile writes a new file, or leaves none behind.
func createFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // holds no secret, and is meant to be shared
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// longestName is what fleet.Example accepts.
const longestName = 32

// fleetName makes a DNS label of a directory's name, "fleet" where nothing is left.
func fleetName(dir string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(dir) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
			b.WriteByte('-')
		}
	}
	name := b.String()
	name = strings.Trim(name[:min(len(name), longestName)], "-")
	if name == "" {
		return "fleet"
	}
	return name
}
