package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// patience is how long Apply waits for the server to answer with what was written.
const patience = 5 * time.Second

// Zone is the records of one domain in a directory. It is safe for concurrent use, by
// any number of Zones in any number of processes.
type Zone struct {
	dir, apex string
	patience  time.Duration
}

// New returns the zone of a domain ("p2p.example.test") in a directory, which is made
// by the first write.
func New(dir, apex string) (*Zone, error) {
	if err := dnsaddr.CheckName(apex); err != nil {
		return nil, fmt.Errorf("local zone: %w", err)
	}
	return &Zone{dir: dir, apex: apex, patience: patience}, nil
}

// Records implements [dnsaddr.Zone]. It does not need the server. A damaged file is
// moved aside and reported as a [*DamagedError].
func (z *Zone) Records(ctx context.Context, name string) ([]dnsaddr.Record, error) {
	if err := z.checkName(name); err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	f, err := z.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: list records: %w", name, err)
	}
	return f.of(name), nil
}

// Apply implements [dnsaddr.Zone]. All changes become visible at once: an error of a
// single record changes nothing. After [ErrNotServed] the changes stand in the file.
func (z *Zone) Apply(ctx context.Context, name string, c dnsaddr.Changes) error {
	if err := z.checkName(name); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if err := dnsaddr.CheckChanges(name, c, z.Limits()); err != nil {
		return fmt.Errorf("%s: apply: %w", name, err)
	}
	f, err := z.write(ctx, func(f *file) error { return f.apply(name, c) })
	if err != nil {
		return fmt.Errorf("%s: apply: %w", name, err)
	}
	if err := z.await(ctx, touched(name, c), f); err != nil {
		return fmt.Errorf("%s: apply: %w", name, err)
	}
	return nil
}

// Empty reports whether the zone holds no record at any name.
func (z *Zone) Empty(ctx context.Context) (bool, error) {
	f, err := z.read(ctx)
	return len(f.Records) == 0, err
}

// Foreign returns the records at any name that fleet does not own, sorted.
func (z *Zone) Foreign(ctx context.Context, fleet string) ([]dnsaddr.Record, error) {
	f, err := z.read(ctx)
	if err != nil {
		return nil, err
	}
	out := []dnsaddr.Record{}
	for _, e := range f.Records {
		r := e.record()
		if _, ok := r.OwnedBy(fleet); !ok {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, dnsaddr.Record.Compare)
	return out, nil
}

// Remove deletes the zone's files, and its directory if nothing else is in it. A zone
// that holds records is [ErrNotEmpty]; one that is gone already succeeds. Damaged
// files that were moved aside stay.
func (z *Zone) Remove(ctx context.Context) error {
	if _, err := os.Stat(z.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := locked(ctx, z.dir, func() error {
		f, err := z.open()
		if err != nil {
			return err
		}
		if n := len(f.Records); n > 0 {
			return fmt.Errorf("%d left: %w", n, ErrNotEmpty)
		}
		for _, name := range []string{zoneFile, portFile, lockFile} {
			if err := os.Remove(filepath.Join(z.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: remove zone: %w", z.apex, err)
	}
	_ = os.Remove(z.dir) // fails if something else is in it, which then stays
	return nil
}

// checkName wants a name in this zone.
func (z *Zone) checkName(name string) error {
	if !within(name, z.apex) {
		return fmt.Errorf("%q is not in the zone %s", name, z.apex)
	}
	return dnsaddr.CheckName(strings.TrimPrefix(name, dnsaddr.Name("")))
}

// read returns the zone as it is. A directory without one holds an empty zone.
func (z *Zone) read(ctx context.Context) (file, error) {
	if err := ctx.Err(); err != nil {
		return file{}, err
	}
	f, err := load(z.dir)
	switch {
	case errors.Is(err, errDamaged):
		// Somebody may have repaired it: look again under the lock, then move it.
		err = locked(ctx, z.dir, func() error {
			f, err = z.open()
			return err
		})
	case errors.Is(err, fs.ErrNotExist):
		return newFile(z.apex), nil
	}
	if err == nil && !strings.EqualFold(f.Apex, z.apex) {
		return z.other(f)
	}
	return f, err
}

// open reads the zone under the lock; a damaged file is moved aside.
func (z *Zone) open() (file, error) {
	f, err := load(z.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newFile(z.apex), nil
	case errors.Is(err, errDamaged):
		aside, moveErr := setAside(z.dir, time.Now())
		if moveErr != nil {
			return file{}, errors.Join(err, moveErr)
		}
		return file{}, &DamagedError{Aside: aside, Err: err}
	case err != nil:
		return file{}, err
	case !strings.EqualFold(f.Apex, z.apex):
		return z.other(f)
	}
	return f, nil
}

// other is what a zone of another domain is for this one: nothing, if it is empty.
func (z *Zone) other(f file) (file, error) {
	if len(f.Records) > 0 {
		return file{}, &hinted{
			fmt.Errorf("%w: that of %s, with %d records", ErrOtherZone, f.Apex, len(f.Records)),
			"take the old domain down first: write " + f.Apex + " as dns.domain and run fleetctl down",
		}
	}
	f.Apex = z.apex
	return f, nil
}

// write changes the zone and returns what it is then. What changes nothing is not written.
func (z *Zone) write(ctx context.Context, change func(*file) error) (f file, err error) {
	if err := ctx.Err(); err != nil {
		return file{}, err
	}
	if err := os.MkdirAll(z.dir, 0o700); err != nil {
		return file{}, fmt.Errorf("make zone directory: %w", err)
	}
	err = locked(ctx, z.dir, func() error {
		if f, err = z.open(); err != nil {
			return err
		}
		if err := change(&f); err != nil {
			return err
		}
		return z.save(&f)
	})
	return f, err
}

// save writes f with the next serial if it differs from what is there.
func (z *Zone) save(f *file) error {
	text, err := f.encode()
	if err != nil {
		return err
	}
	old, err := readBounded(filepath.Join(z.dir, zoneFile))
	if err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read zone: %w", err)
	}
	f.Serial++
	if text, err = f.encode(); err != nil {
		return err
	}
	return writeFile(filepath.Join(z.dir, zoneFile), text)
}

// touched are the names that changes write to, and the entry name.
func touched(entry string, c dnsaddr.Changes) []string {
	names := []string{strings.ToLower(entry)}
	for _, r := range slices.Concat(c.Add, c.Update, c.Remove) {
		names = append(names, strings.ToLower(cmp.Or(r.Name, entry)))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of returns the records of the fleet at entry, sorted.
func (f *file) of(entry string) []dnsaddr.Record {
	return f.where(func(name string) bool { return dnsaddr.OfFleet(entry, name) })
}

// at returns the records at one name, sorted.
func (f *file) at(name string) []dnsaddr.Record {
	return f.where(func(other string) bool { return strings.EqualFold(name, other) })
}

func (f *file) where(is func(name string) bool) []dnsaddr.Record {
	out := []dnsaddr.Record{}
	for _, e := range f.Records {
		if is(e.Name) {
			out = append(out, e.record())
		}
	}
	slices.SortFunc(out, dnsaddr.Record.Compare)
	return out
}

// apply makes the changes in memory: adds, updates, removes.
func (f *file) apply(name string, c dnsaddr.Changes) error {
	for _, r := range c.Add {
		at := strings.ToLower(cmp.Or(r.Name, name))
		if !slices.ContainsFunc(f.Records, func(e entry) bool {
			return strings.EqualFold(e.Name, at) && e.Value == r.Value && e.Comment == r.Comment
		}) {
			f.Records = append(f.Records, entry{ID: ulid.Make().String(), Name: at, Value: r.Value, TTLSecs: int64(r.TTL / time.Second), Comment: r.Comment})
		}
	}
	for _, r := range c.Update {
		i := f.find(name, r.ID)
		if i < 0 {
			return fmt.Errorf("update %s: %w", r.Value, dnsaddr.ErrNoRecord)
		}
		if err := dnsaddr.CheckUpdate(f.Records[i].record(), r); err != nil {
			return fmt.Errorf("update %s: %w", r.Value, err)
		}
		f.Records[i].TTLSecs, f.Records[i].Comment = int64(r.TTL/time.Second), r.Comment
	}
	for _, r := range c.Remove {
		i := f.find(name, r.ID)
		if i < 0 {
			continue
		}
		if err := dnsaddr.CheckRemoval(f.Records[i].record(), r); err != nil {
			return fmt.Errorf("remove %s: %w", r.Value, err)
		}
		f.Records = slices.Delete(f.Records, i, i+1)
	}
	return nil
}

// find returns the index of a record of the fleet at name, -1 if it is gone.
func (f *file) find(name, id string) int {
	return slices.IndexFunc(f.Records, func(e entry) bool { return e.ID == id && dnsaddr.OfFleet(name, e.Name) })
}
