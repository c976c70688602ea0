package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// mark says what a running process was started with. It is written before the files
// of that process change, so that a run that is killed between the change and the
// restart leaves a box that shows it: its files are as they should be and its process
// is not. Once another process runs, the mark says nothing any more.
type mark struct {
	PID       int       `json:"pid"`
	Config    string    `json:"config_sha256"`
	Unit      string    `json:"unit_sha256,omitempty"` // of the service's own file; "": there is none
	Restarted time.Time `json:"restarted,omitzero"`    // by fleetctl, before this change
}

// of reports whether the process that runs is still the one that the mark speaks of.
func (k mark) of(u unit) bool { return k.PID != 0 && u.runs() && u.PID == k.PID }

// unfinished reports whether the process that runs was started with another
// configuration than the one that is there now.
func (k mark) unfinished(u unit, config string) bool {
	return k.of(u) && k.Config != textDigest(config)
}

// oldUnit reports whether the process that runs was started by another service file than
// the one that is there now.
func (k mark) oldUnit(u unit, text string) bool {
	return k.of(u) && k.Unit != "" && k.Unit != textDigest(text)
}

func textDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func parseMark(data []byte) mark {
	var k mark
	if err := json.Unmarshal(data, &k); err != nil {
		return mark{} // half a mark is none: it is written before anything changes
	}
	return k
}

// setMark notes what the running process was started with.
func (b box) setMark(ctx context.Context, was readings) error {
	k := was.mark
	if !k.of(was.unit) {
		k = mark{PID: was.unit.PID, Config: textDigest(was.config), Restarted: was.restarted}
		if was.hasUnit {
			k.Unit = textDigest(was.unitText)
		}
	}
	data, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("write %s: %w", Changing, err)
	}
	return b.writeFile(ctx, Changing, append(data, '\n'))
}

// file reads a small file; one that is missing is nil and no error.
func (b box) file(ctx context.Context, path string, limit int64) ([]byte, bool, error) {
	data, err := b.run.ReadFile(ctx, b.at, path, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	return data, true, nil
}

func (b box) writeFile(ctx context.Context, path string, data []byte) error {
	return b.writeMode(ctx, path, data, 0o644)
}

func (b box) writeMode(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	if err := b.run.WriteFile(ctx, b.at, path, data, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
