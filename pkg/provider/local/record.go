package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// recordVersion is the version of machine.json. A newer one is refused.
const recordVersion = 1

// record is machine.json. Status, PID and Root are not of the disk: they are found out
// at each reading.
type record struct {
	Version int `json:"version"`
	fleet.Machine
	Delay time.Duration `json:"delay,omitempty"` // one way, nanoseconds
}

// writeRecord replaces machine.json of a box.
func writeRecord(dir string, r record) error {
	r.Version = recordVersion
	r.Status, r.PID, r.Root = "", 0, ""
	return boxsim.WriteJSON(filepath.Join(dir, machineFile), r)
}

// readRecord reads machine.json in the directory of a box. It is fs.ErrNotExist for a
// directory that was half deleted.
func readRecord(dir string) (record, error) {
	var r record
	if err := boxsim.ReadJSON(filepath.Join(dir, machineFile), &r); err != nil {
		return record{}, err
	}
	switch {
	case r.Version > recordVersion:
		return record{}, fmt.Errorf("%s was written by a newer fleetctl", filepath.Join(dir, machineFile))
	case r.ID != filepath.Base(dir):
		return record{}, fmt.Errorf("%s is of machine %q", filepath.Join(dir, machineFile), r.ID)
	}
	r.Root = boxsim.Root(dir)
	r.Status = fleet.StatusStopped
	return r, nil
}

// readRecords reads every box of a fleet's directory, sorted by ID, and names the
// directories that are no box: half made or half deleted. A directory that is not there
// has none. A box that cannot be read is an error: it must not look absent.
func readRecords(dir string) (boxes []record, half []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, boxesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if strings.HasPrefix(e.Name(), ".") {
			half = append(half, e.Name())
			continue
		}
		r, err := readRecord(boxDir(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			half = append(half, e.Name())
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		boxes = append(boxes, r)
	}
	slices.SortFunc(boxes, func(a, b record) int { return strings.Compare(a.ID, b.ID) })
	return boxes, half, nil
}
