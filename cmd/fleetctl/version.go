package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/pkg/render"
)

// version and revision are set by the linker (-X main.version=…); without it what the
// toolchain left in the binary is told, or "dev".
var version, revision string //nolint:gochecknoglobals // the linker's way to hand over a string; never written here

// versionView is what `fleetctl version` says.
type versionView struct {
	Version   string   `json:"version"`
	Revision  string   `json:"revision"`
	Modified  bool     `json:"modified"` // built from a tree with changes that are not committed
	Go        string   `json:"go"`
	Platform  string   `json:"platform"`
	Protocols []string `json:"protocols"` // of relays that this fleetctl can drive
}

func newVersion(a *app) *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print the version of fleetctl",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if long {
				return a.show(thisVersion())
			}
			return a.show(shortVersion{thisVersion()})
		},
	}
	cmd.Flags().BoolVar(&long, "long", false, "with revision, Go version and relay protocols")
	return cmd
}

// thisVersion reads what the linker and the toolchain left in the binary.
func thisVersion() versionView {
	v := versionView{
		Version:   version,
		Revision:  revision,
		Go:        runtime.Version(),
		Platform:  runtime.GOOS + "/" + runtime.GOARCH,
		Protocols: []string{"/libp2p/circuit/relay/0.2.0/hop", "/libp2p/circuit/relay/0.2.0/stop", "/libp2p/autonat/1.0.0", "/libp2p/autonat/2/dial-request"},
	}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
		if v.Version == "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
	}
	if v.Version == "" {
		v.Version = "dev"
	}
	return v
}

func (v versionView) Table() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "name"}, {Name: "value"}},
		Rows: [][]any{
			{"version", v.Version},
			{"revision", revisionCell(v.Revision)},
			{"modified", v.Modified},
			{"go", v.Go},
			{"platform", v.Platform},
			{"protocols", v.Protocols},
		},
	}
}

// shortVersion is one line for people, and the same as versionView for programs.
type shortVersion struct{ versionView }

var _ render.TextView = shortVersion{}

func (v shortVersion) Text(w io.Writer, _ render.Options) error {
	revision := "no revision"
	if v.Revision != "" {
		revision = "revision " + v.Revision[:min(len(v.Revision), 12)]
	}
	if v.Modified {
		revision += ", modified"
	}
	_, err := fmt.Fprintf(w, "fleetctl %s (%s, %s)\n", v.Version, revision, v.Platform)
	return err
}

// revisionCell is unknown when the binary was built outside a repository.
func revisionCell(r string) any {
	if r == "" {
		return nil
	}
	return r
}
