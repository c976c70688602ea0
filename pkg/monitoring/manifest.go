package monitoring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Origin is what files were made from.
type Origin struct {
	Fleet string `json:"fleet"`
	ID    string `json:"id,omitempty"` // tells two fleets of one name apart; "" is not compared
	// Flags are what was asked for, by the name of the flag of 'fleetctl monitoring init',
	// defaults filled in. One that asks for nothing is left out.
	Flags map[string][]string `json:"flags"`
}

// sameFleet reports whether both are of one fleet, as far as that can be told.
func (o Origin) sameFleet(other Origin) bool {
	return o.Fleet == other.Fleet && (o.ID == other.ID || o.ID == "" || other.ID == "")
}

// Change is a flag that is another one than the last time. No values: it was not given.
type Change struct {
	Flag        string
	Before, Now []string
}

// changed are the flags that are others now, in the order of their names.
func (m manifest) changed(now Origin) []Change {
	if m.Fleet == "" {
		return nil
	}
	names := maps.Clone(m.Flags)
	if names == nil {
		names = make(map[string][]string)
	}
	maps.Copy(names, now.Flags)
	var all []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if c := (Change{name, m.Flags[name], now.Flags[name]}); !slices.Equal(c.Before, c.Now) {
			all = append(all, c)
		}
	}
	return all
}

// OtherFleetError says that a directory has the files of another fleet.
type OtherFleetError struct {
	Dir       string
	Fleet, ID string // the other one
}

func (e *OtherFleetError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("%s has the files of another fleet, %q", e.Dir, e.Fleet)
	}
	return fmt.Sprintf("%s has the files of another fleet, %q with the ID %q", e.Dir, e.Fleet, e.ID)
}

// Hint is what the operator can do.
func (e *OtherFleetError) Hint() string { return "name a directory of its own for each fleet" }

// manifestError says that what the last run noted cannot be gone by.
type manifestError struct {
	dir string
	err error
}

func (e *manifestError) Error() string { return fmt.Sprintf("%s: %v", manifestName, e.err) }
func (e *manifestError) Unwrap() error { return e.err }

// Hint is what the operator can do.
func (e *manifestError) Hint() string {
	return "look whether the files in " + e.dir + " are of this fleet; if so, remove " + filepath.Join(e.dir, manifestName) +
		" and run the same command again: --force then writes over files that differ"
}

// manifestName is the file that says which files were written, what from, and how they looked.
const manifestName = ".fleetctl-monitoring.json"

// manifest is what the last run wrote.
type manifest struct {
	Origin

	// Files are the digests of each file as it was last written; two while a file is being
	// replaced, of which either may be there after a crash.
	Files map[string][]string `json:"files"`
}

func (m manifest) equal(other manifest) bool {
	return m.Fleet == other.Fleet && m.ID == other.ID && maps.EqualFunc(m.Flags, other.Flags, slices.Equal) &&
		maps.EqualFunc(m.Files, other.Files, slices.Equal)
}

// readManifest reads what the last run noted. Without one the fleet is "".
// One of before fleets were noted is a [manifestError], as a damaged one is.
func readManifest(root *os.Root) (manifest, error) {
	m := manifest{Files: map[string][]string{}}
	text, err := read(root, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil && m.Fleet == "" {
		err = errors.New("it does not say which fleet's files these are")
	}
	for name := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) && err == nil {
			err = fmt.Errorf("it names %q", name)
		}
	}
	if err != nil {
		return m, &manifestError{root.Name(), err}
	}
	if m.Files == nil {
		m.Files = map[string][]string{}
	}
	return m, nil
}

func writeManifest(root *os.Root, m manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(root, manifestName, append(text, '\n'))
}
