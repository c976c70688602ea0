package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/inventory"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// importFlags choose machines and give them regions.
type importFlags struct {
	groups, hosts []string
	region        string
	regionFrom    string
}

func newImport(a *app) *cobra.Command {
	var f importFlags
	// usual is the file that is read where none is named, "" if one must be.
	kind := func(use, short, usual string, read func(file string, text []byte) ([]inventory.Machine, []string, error)) *cobra.Command {
		cmd := &cobra.Command{
			Use: use + " FILE", Short: short, Args: exactArgs("FILE"),
			RunE: func(cmd *cobra.Command, args []string) error {
				file := usual
				if len(args) > 0 {
					file = args[0]
				}
				text, err := readBounded(a.expand(file), inventory.MaxText)
				if err != nil {
					return fmt.Errorf("%s: %w", path(cmd), err)
				}
				machines, warnings, err := read(file, text)
				if err != nil {
					return err
				}
				for _, w := range warnings {
					a.say("fleetctl: warning: %s", render.Safe(w))
				}
				v, err := f.hostsOf(file, machines)
				if err != nil {
					return err
				}
				return a.show(v)
			},
		}
		if usual != "" {
			cmd.Use, cmd.Args = use+" [FILE]", upToOneArg
		}
		flags := cmd.Flags()
		flags.StringSliceVar(&f.groups, "group", nil, "only machines of this `group`")
		flags.StringSliceVar(&f.hosts, "host", nil, "only machines whose name matches this `glob`")
		flags.StringVar(&f.region, "region", "", "the `region` of all of them")
		flags.StringVar(&f.regionFrom, "region-from", "", "where each region is from: group, name, or var:`NAME`")
		return cmd
	}
	cmd := group("import", "Print a hosts section from what others have written down",
		kind("ansible", "From an Ansible inventory, INI or YAML", "", func(file string, text []byte) ([]inventory.Machine, []string, error) {
			machines, err := inventory.Ansible(file, text)
			return machines, nil, err
		}),
		kind("ssh-config", "From an ssh_config file, ~/.ssh/config where none is named", sshConfigFile, func(file string, text []byte) ([]inventory.Machine, []string, error) {
			return inventory.SSHConfig(file, text, sshFiles{a})
		}),
	)
	cmd.Long = `Print a hosts section for fleet.yaml from an Ansible inventory or an ssh_config file.
No file is written: look at it, and paste it. Groups become labels. Where a region is
from: --region for all machines; --region-from group takes the innermost group if there
is only one, name what stands before the last hyphen or the first dot, var:NAME a variable.`
	return cmd
}

// sshConfigFile is what ssh itself reads.
const sshConfigFile = "~/.ssh/config"

// upToOneArg takes a file or none.
func upToOneArg(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return exactArgs("FILE")(cmd, args)
}

// importView is the hosts section.
type importView struct {
	File  string           `json:"file"`
	Names []string         `json:"names"` // of each host, as the file calls it
	Hosts []fleet.HostSpec `json:"hosts"`
}

// hostsOf makes the section, complete enough to be loaded.
func (f importFlags) hostsOf(file string, machines []inventory.Machine) (importView, error) {
	v := importView{File: file, Names: []string{}, Hosts: []fleet.HostSpec{}}
	for _, pattern := range f.hosts {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return v, fmt.Errorf("import: --host %q: %w", pattern, err)
		}
	}
	for _, m := range machines {
		if !f.wants(m) {
			continue
		}
		region, err := f.regionOf(m)
		if err != nil {
			return v, &inventory.Error{File: m.File, Line: m.Line, Text: err.Error()}
		}
		h := fleet.HostSpec{Address: m.Address, User: m.User, Key: m.Key, Jump: m.Jump, Region: region, Labels: []string{}}
		if m.Port != 22 {
			h.Port = m.Port
		}
		for _, g := range m.Groups {
			h.Labels = append(h.Labels, strings.ReplaceAll(g, ".", "-"))
		}
		v.Hosts, v.Names = append(v.Hosts, h), append(v.Names, m.Name)
	}
	if len(v.Hosts) == 0 {
		return v, fleet.WithHint(fmt.Errorf("%s: no machine is meant", file), "name others with --group and --host, or leave them out")
	}
	return v, v.check()
}

func (f importFlags) wants(m inventory.Machine) bool {
	inGroup := func(g string) bool { return slices.Contains(m.Groups, g) }
	named := func(pattern string) bool { ok, _ := filepath.Match(pattern, m.Name); return ok } // it is well formed
	return (len(f.groups) == 0 || slices.ContainsFunc(f.groups, inGroup)) && (len(f.hosts) == 0 || slices.ContainsFunc(f.hosts, named))
}

// regionOf is where a machine is, as a word that fleet.yaml accepts.
func (f importFlags) regionOf(m inventory.Machine) (string, error) {
	region := f.region
	switch name, isVar := strings.CutPrefix(f.regionFrom, "var:"); {
	case region != "" && f.regionFrom != "":
		return "", fmt.Errorf("--region and --region-from were given")
	case region != "":
	case f.regionFrom == "":
		return "", fmt.Errorf("%s: its region is not said: use --region or --region-from", m.Name)
	case isVar:
		if region = m.Vars[name]; region == "" {
			return "", fmt.Errorf("%s: it has no variable %s", m.Name, render.SafeUpTo(name, 60))
		}
	case f.regionFrom == "group":
		if len(m.Groups) != 1 {
			return "", fmt.Errorf("%s: it is in %d groups (%s), and one is wanted for a region", m.Name, len(m.Groups), strings.Join(m.Groups, ", "))
		}
		region = m.Groups[0]
	case f.regionFrom == "name":
		region, _, _ = strings.Cut(m.Name, ".")
		if i := strings.LastIndexByte(region, '-'); i > 0 {
			region = region[:i]
		}
	default:
		return "", fmt.Errorf("--region-from %q: accepted are group, name, var:NAME", f.regionFrom)
	}
	region = strings.Trim(strings.ReplaceAll(strings.ToLower(region), "_", "-"), "-")
	return region, nil
}

// check loads a spec with the section in it: what is printed is accepted.
func (v importView) check() error {
	var text strings.Builder
	text.WriteString("name: imported\nprovider: hosts\ndns: {domain: example.net}\n")
	if err := v.Text(&text, render.Options{}); err != nil {
		return err
	}
	_, err := fleet.Load([]byte(text.String()), "hosts of "+v.File)
	return err
}

// Text is YAML, each host below its old name.
func (v importView) Text(w io.Writer, _ render.Options) error {
	if _, err := fmt.Fprintf(w, "hosts: # from %s\n", render.Safe(v.File)); err != nil {
		return err
	}
	for i, h := range v.Hosts {
		text, err := yaml.MarshalWithOptions(h, yaml.IndentSequence(true))
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		if _, err := fmt.Fprintf(w, "  # %s\n  - %s\n", render.Safe(v.Names[i]), strings.Join(lines, "\n    ")); err != nil {
			return err
		}
	}
	return nil
}

func (v importView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "name"}, {Name: "address"}, {Name: "port"}, {Name: "user"}, {Name: "key"}, {Name: "jump"}, {Name: "region"}, {Name: "labels"}}}
	for i, h := range v.Hosts {
		t.Rows = append(t.Rows, []any{v.Names[i], h.Address, cmp.Or(h.Port, 22), h.User, h.Key, h.Jump, h.Region, h.Labels})
	}
	return t
}

// sshFiles are the files that an ssh_config includes, found as ssh finds them.
type sshFiles struct{ app *app }

// Glob lists files; a relative pattern is one below ~/.ssh.
func (s sshFiles) Glob(pattern string) ([]string, error) {
	if !strings.HasPrefix(pattern, "~/") && !filepath.IsAbs(pattern) {
		pattern = "~/.ssh/" + pattern
	}
	return filepath.Glob(s.app.expand(pattern))
}

// Read reads a file of at most MaxText bytes.
func (s sshFiles) Read(file string) ([]byte, error) { return readBounded(file, inventory.MaxText) }

// readBounded reads a regular file that is not larger than limit bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s: no regular file of at most %d KiB", file, limit>>10)
	}
	f, err := os.Open(file) //nolint:gosec // the operator names it, or a file that the operator named
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, limit))
}
