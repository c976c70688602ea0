package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// defaultConfig is the spec when nothing else is said.
const defaultConfig = "fleet.yaml"

// globals are the flags that every command takes.
type globals struct {
	config    string
	output    output
	noHeader  bool
	quiet     bool
	verbose   bool
	trace     bool
	colour    choice
	logFormat choice
	yes       bool
	noInput   bool
}

func (g *globals) register(f *pflag.FlagSet) {
	g.output.format = render.FormatTable
	g.colour = choice{value: render.ColourAuto, accepted: render.ColourModes()}
	g.logFormat = choice{value: "text", accepted: []string{"text", "json"}}
	f.StringVarP(&g.config, "config", "c", defaultConfig, "the `file` that describes the fleet")
	f.VarP(&g.output, "output", "o", "form of the result: "+strings.Join(render.FormatNames(), ", "))
	f.Var(&outputAlias{&g.output, render.FormatJSON}, "json", "the same as -o json")
	f.Var(&outputAlias{&g.output, render.FormatCSV}, "csv", "the same as -o csv")
	f.Lookup("json").NoOptDefVal, f.Lookup("csv").NoOptDefVal = "true", "true"
	f.BoolVar(&g.noHeader, "no-header", false, "leave the header line out of tables and CSV")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but results and errors")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more on stderr")
	f.BoolVar(&g.trace, "trace", false, "log every call on stderr, without secrets")
	f.Var(&g.colour, "color", "colour: "+strings.Join(render.ColourModes(), ", "))
	f.Var(&g.logFormat, "log-format", "progress and log on stderr: text, json")
	f.BoolVarP(&g.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&g.noInput, "no-input", false, "never ask: refuse where --yes would be needed")
}

// choice is a flag with a few accepted values.
type choice struct {
	value    string
	accepted []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.accepted, s) {
		return fmt.Errorf("accepted are %s", strings.Join(c.accepted, ", "))
	}
	c.value = s
	return nil
}

// amount is a flag that is a number of things.
type amount int

func (n *amount) String() string { return strconv.Itoa(int(*n)) }
func (n *amount) Type() string   { return "int" }

func (n *amount) Set(s string) error {
	got, err := strconv.Atoi(s)
	if err != nil || got < 0 {
		return errors.New("want a whole number, 0 or more")
	}
	*n = amount(got)
	return nil
}

// output is the flag -o, which --json and --csv set as well.
type output struct {
	format render.Format
	given  []string // the flags that set it, as written
}

func (o *output) String() string { return string(o.format) }
func (o *output) Type() string   { return "string" }

func (o *output) Set(s string) error { return o.set(s, "-o "+s) }

func (o *output) set(s, given string) error {
	if !slices.Contains(render.FormatNames(), s) {
		return fmt.Errorf("accepted are %s", strings.Join(render.FormatNames(), ", "))
	}
	format := render.Format(s)
	if len(o.given) > 0 && format != o.format {
		return fmt.Errorf("%s was given, too", o.given[0])
	}
	o.format, o.given = format, append(o.given, given)
	return nil
}

// outputAlias is --json or --csv.
type outputAlias struct {
	output *output
	format render.Format
}

func (o *outputAlias) String() string   { return "false" }
func (o *outputAlias) Type() string     { return "bool" }
func (o *outputAlias) IsBoolFlag() bool { return true }

func (o *outputAlias) Set(s string) error {
	if s != "true" {
		return errors.New("it takes no value")
	}
	return o.output.set(string(o.format), "--"+string(o.format))
}

// envName is the environment name of a flag: FLEETCTL_ and its name in capitals.
func envName(flag string) string {
	return "FLEETCTL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// envAlso is the annotation of flags that have one more environment name.
const envAlso = "env"

// alsoFrom gives a flag of cmd one more environment name, which FLEETCTL_… goes before.
func alsoFrom(cmd *cobra.Command, flag, env string) {
	f := cmd.Flags().Lookup(flag)
	if f.Annotations == nil {
		f.Annotations = make(map[string][]string)
	}
	f.Annotations[envAlso] = append(f.Annotations[envAlso], env)
}

// dryRunFlag adds --dry-run to a command that changes something.
func dryRunFlag(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "show the plan and change nothing")
}

// settle gives every flag of cmd that was not written on the command line its value
// from the environment, else from the user's file.
func (a *app) settle(cmd *cobra.Command) error {
	var problems []error
	fromFile, err := a.userFile(cmd)
	if err != nil {
		return err
	}
	set := func(f *pflag.Flag, value, source string) {
		if err := f.Value.Set(value); err != nil {
			if f.Value.Type() == "bool" {
				err = errors.New("accepted are true, false")
			}
			problems = append(problems, fmt.Errorf("%s: %q: %w", source, value, err))
			return
		}
		f.Changed = true
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || isAlias(f) {
			return
		}
		if f.Name == "output" && (len(a.globals.output.given) > 0 || hasOwnForms(f)) {
			return
		}
		for _, name := range append([]string{envName(f.Name)}, f.Annotations[envAlso]...) {
			if value, ok := a.env(name); ok && value != "" {
				set(f, value, name)
				return
			}
		}
		if value, ok := fromFile[f.Name]; ok {
			set(f, value, a.userFilePath())
		}
	})
	return errors.Join(problems...)
}

func isAlias(f *pflag.Flag) bool {
	_, alias := f.Value.(*outputAlias)
	return alias
}

// hasOwnForms reports whether a flag accepts no form that an environment could mean for
// every command.
func hasOwnForms(f *pflag.Flag) bool {
	o, own := f.Value.(*ownOutput)
	return own && o.only
}

// userFilePath is where the user's defaults for flags may stand.
func (a *app) userFilePath() string {
	base := a.getenv("XDG_CONFIG_HOME")
	if base == "" {
		home := a.getenv("HOME")
		if home == "" {
			return ""
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "fleetctl", "config.yaml")
}

// userFile reads the user's defaults: global flags by name. A file that is not there
// has none.
func (a *app) userFile(cmd *cobra.Command) (map[string]string, error) {
	path := a.userFilePath()
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the user's settings: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fleet.WithHint(fmt.Errorf("%s: not a list of settings", path), "write lines such as 'output: wide'")
	}
	settings := make(map[string]string, len(values))
	for name, value := range values {
		if f := cmd.Root().PersistentFlags().Lookup(name); f == nil || isAlias(f) {
			err := fmt.Errorf("%s: unknown setting %q", path, name)
			return nil, fleet.WithHint(err, didYouMean(name, globalNames(cmd), "accepted are "+strings.Join(globalNames(cmd), ", ")))
		}
		settings[name] = fmt.Sprint(value)
	}
	return settings, nil
}

// globalNames lists the global flags that can be set elsewhere.
func globalNames(cmd *cobra.Command) []string {
	var all []string
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !isAlias(f) {
			all = append(all, f.Name)
		}
	})
	return all
}

// flagNames lists the flags of cmd with their dashes.
func flagNames(cmd *cobra.Command) []string {
	var all []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, "--"+f.Name) })
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { all = append(all, "--"+f.Name) })
	return all
}
