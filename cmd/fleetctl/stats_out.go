package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// outFile is the flag --out: a result goes to a file and not to stdout.
type outFile struct {
	name    string
	private bool // the file is for its owner alone
}

func (o *outFile) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.name, "out", "", "write to this `file`, whole or not at all, and not to stdout; its ending says the form")
}

// form is the form of the result: what -o said, which is given, else what the file's name
// ends in, "" if that is none of forms. A name that ends in another form than was given is
// an error.
func (o *outFile) form(cmd *cobra.Command, given string, forms []string) (string, error) {
	if o.name == "" && cmd.Flags().Changed("out") {
		return "", fleet.WithHint(fmt.Errorf("%s: --out: no file is named", path(cmd)), "leave --out out for stdout")
	}
	ending := strings.ToLower(strings.TrimPrefix(filepath.Ext(o.name), "."))
	switch {
	case !slices.Contains(forms, ending):
		return given, nil
	case given != "" && given != ending:
		err := fmt.Errorf("%s: -o %s and --out %s are two forms", path(cmd), given, render.Safe(o.name))
		return "", fleet.WithHint(err, "leave -o out, or let the file's name end in ."+given)
	}
	return ending, nil
}

// options is how a view is written: to a file the same whatever the terminal is.
func (o *outFile) options(a *app) render.Options {
	options := a.outOptions()
	if o.name != "" {
		options.Width, options.Graphic = 0, false
		options.Colour = a.globals.colour.value == render.ColourAlways
	}
	return options
}

// show writes a view to the file, else to stdout.
func (o *outFile) show(a *app, cmd *cobra.Command, v render.View) error {
	return o.write(a, cmd, true, func(w io.Writer) error { return render.Write(w, v, o.options(a)) })
}

// write writes what f makes to the file, else to stdout. What is no text does not go to a
// terminal.
func (o *outFile) write(a *app, cmd *cobra.Command, text bool, f func(io.Writer) error) error {
	if o.name == "" {
		if !text && a.out.terminal {
			return fleet.WithHint(fmt.Errorf("%s: this is no text for a terminal", path(cmd)), "name a file with --out")
		}
		return f(a.stdout)
	}
	mode := fs.FileMode(0o666) // less what the umask takes
	if o.private {
		mode = 0o600
	}
	err := replaceFile(a.abs(o.name), mode, f)
	var refused *fs.PathError
	if !errors.As(err, &refused) {
		return err // of f, which says what it is about
	}
	// The name of the hidden file would say nothing.
	err = fmt.Errorf("%s: --out %s: %w", path(cmd), render.Safe(o.name), refused.Err)
	return fleet.WithHint(err, "see that there is such a directory, that it can be written to and that its disk has space; the file is as it was")
}

// replaceFile makes a file of what f writes, whole or not at all: until that is on the disk
// the old file stays. A link is followed; a pipe or a device is written to as it is. The
// umask takes from mode what it takes.
func replaceFile(file string, mode fs.FileMode, f func(io.Writer) error) error {
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return writeStream(file, f)
	}
	temporary, err := writeBeside(file, mode, f)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, file); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// writeStream writes to what is no regular file. A directory is an error.
func writeStream(file string, f func(io.Writer) error) error {
	w, err := os.OpenFile(file, os.O_WRONLY, 0) //nolint:gosec // where the operator says
	if err != nil {
		return err
	}
	return errors.Join(f(w), w.Close())
}

// writeBeside writes what will be a file to a hidden one beside it, as far as onto the
// disk, and returns its name. After an error there is none.
func writeBeside(file string, mode fs.FileMode, f func(io.Writer) error) (temporary string, err error) {
	temporary = filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+"."+rand.Text())
	w, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // where the operator says
	if err != nil {
		return "", err
	}
	err = f(w)
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary))
	}
	return temporary, nil
}
