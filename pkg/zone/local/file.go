package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// zoneFile holds the records, in the zone's directory.
const zoneFile = "zone.json"

// fileVersion of zone.json. A newer one is refused, so that nothing in it is lost.
const fileVersion = 1

// maxFile is the largest zone.json that is read, in bytes.
const maxFile = 16 << 20

// file is zone.json.
type file struct {
	Version int     `json:"version"`
	ID      string  `json:"id"`   // of this zone; the server shows it in the SOA record
	Apex    string  `json:"apex"` // the domain, without "_dnsaddr."
	Serial  uint32  `json:"serial"`
	Records []entry `json:"records"`
}

// entry is one TXT record.
type entry struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	TTLSecs int64  `json:"ttl_secs"`
	Comment string `json:"comment,omitempty"`
}

func (e entry) record() dnsaddr.Record {
	return dnsaddr.Record{ID: e.ID, Name: strings.ToLower(e.Name), Value: e.Value, TTL: time.Duration(e.TTLSecs) * time.Second, Comment: e.Comment}
}

// newFile is the zone of apex before its first record.
func newFile(apex string) file {
	return file{Version: fileVersion, ID: strings.ToLower(ulid.Make().String()), Apex: apex, Records: []entry{}}
}

// errNewer is not damage: the file stays where it is.
var errNewer = errors.New("written by a newer fleetctl")

// load reads the zone file. It changes nothing. The error of a file that is not there is
// fs.ErrNotExist.
func load(dir string) (file, error) {
	text, err := readBounded(filepath.Join(dir, zoneFile))
	if err != nil {
		return file{}, fmt.Errorf("read zone: %w", err)
	}
	f, err := decode(text)
	if err != nil {
		return file{}, fmt.Errorf("read zone: %s: %w", filepath.Join(dir, zoneFile), err)
	}
	return f, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // G304: the path is the caller's own state directory.
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// errDamaged is wrapped by the errors of decode, errNewer apart.
var errDamaged = errors.New("damaged")

// decode reads and checks a zone file.
func decode(text []byte) (file, error) {
	if len(text) > maxFile {
		return file{}, fmt.Errorf("%w: larger than %d bytes", errDamaged, maxFile)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return file{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if head.Version > fileVersion {
		return file{}, fmt.Errorf("version %d: %w", head.Version, errNewer)
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return file{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := f.check(); err != nil {
		return file{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return f, nil
}

// check wants a file that this package could have written. A record without an ID,
// added by hand, is given one that is the same at each read.
func (f *file) check() error {
	if f.Version != fileVersion {
		return fmt.Errorf("version %d, want %d", f.Version, fileVersion)
	}
	if _, err := ulid.ParseStrict(strings.ToUpper(f.ID)); err != nil {
		return fmt.Errorf("id %q: %w", f.ID, err)
	}
	if err := dnsaddr.CheckName(f.Apex); err != nil {
		return err
	}
	seen := make(map[string]bool, len(f.Records))
	for i := range f.Records {
		e := &f.Records[i]
		if e.ID == "" {
			sum := sha256.Sum256([]byte(e.Name + "\n" + e.Value + "\n" + e.Comment))
			e.ID = "hand-" + hex.EncodeToString(sum[:8])
		}
		if seen[e.ID] {
			return fmt.Errorf("record %d: id %q is there twice", i, e.ID)
		}
		seen[e.ID] = true
		if !within(e.Name, f.Apex) {
			return fmt.Errorf("record %d: name %q is not in %s", i, e.Name, f.Apex)
		}
		if e.TTLSecs < 0 || e.TTLSecs > int64(maxTTL/time.Second) {
			return fmt.Errorf("record %d: ttl_secs %d", i, e.TTLSecs)
		}
		add := dnsaddr.Changes{Add: []dnsaddr.Record{e.record()}}
		if err := dnsaddr.CheckChanges(e.Name, add, dnsaddr.Limits{MinTTL: minTTL, MaxTTL: maxTTL}); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	return nil
}

// within reports whether name is apex or below it. Names compare without case.
func within(name, apex string) bool {
	name, apex = strings.ToLower(name), strings.ToLower(apex)
	return name == apex || strings.HasSuffix(name, "."+apex)
}

// encode writes f as text for people.
func (f *file) encode() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode zone: %w", err)
	}
	return append(text, '\n'), nil
}

// setAside moves a damaged zone file to a name that is free.
func setAside(dir string, now time.Time) (string, error) {
	from := filepath.Join(dir, zoneFile)
	base := from + ".damaged-" + now.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		to := base
		if n > 1 {
			to = fmt.Sprintf("%s-%d", base, n)
		}
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Rename(from, to); err != nil {
			return "", fmt.Errorf("set damaged zone aside: %w", err)
		}
		return to, nil
	}
}
