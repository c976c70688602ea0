package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// censusLimit bounds the register of one relay: more than a million peers.
const censusLimit = 256 << 20

// entry is one peer in a census, with the fields that fleetctl does not know kept.
type entry struct {
	key                      string
	first, last, connections int64
	fields                   map[string]json.RawMessage
}

// parseCensus reads bootnode-peers.json: an array of objects, each with a public key
// that occurs once or is merged with its doubles.
func parseCensus(data []byte, now time.Time) (map[string]entry, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("not a JSON array")
	}
	out := make(map[string]entry)
	for n := 1; dec.More(); n++ {
		var fields map[string]json.RawMessage
		if err := dec.Decode(&fields); err != nil {
			return nil, fmt.Errorf("entry %d: %s", n, clean(err.Error(), 200))
		}
		e, err := parseEntry(fields)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", n, err)
		}
		e.last = min(e.last, now.Unix()) // nobody was seen in the future
		e.first = min(e.first, e.last)
		out[e.key] = merged(out[e.key], e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("the array is cut off")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the array")
	}
	return out, nil
}

func parseEntry(fields map[string]json.RawMessage) (entry, error) {
	e := entry{fields: fields}
	if err := json.Unmarshal(fields["peer_pubkey"], &e.key); err != nil || e.key == "" {
		return entry{}, errors.New("no peer_pubkey")
	}
	if _, err := base64.StdEncoding.DecodeString(e.key); err != nil {
		return entry{}, fmt.Errorf("peer_pubkey %q is not base64", clean(e.key, 80))
	}
	for name, into := range map[string]*int64{
		"first_seen_at": &e.first, "last_seen_at": &e.last, "connection_count": &e.connections,
	} {
		if err := json.Unmarshal(fields[name], into); err != nil || *into < 0 {
			return entry{}, fmt.Errorf("%s is no count: %s", name, clean(string(fields[name]), 40))
		}
	}
	return e, nil
}

// merged is what two entries of one peer say together. It does not matter how often
// one of them is merged in: a census may be carried twice.
func merged(a, b entry) entry {
	if a.key == "" {
		return b
	}
	newer := a
	if b.last > a.last {
		newer = b
	}
	newer.first = min(a.first, b.first)
	newer.last = max(a.last, b.last)
	newer.connections = max(a.connections, b.connections)
	return newer
}

// encodeCensus writes entries sorted by key, each with the fields it came with.
func encodeCensus(census map[string]entry) ([]byte, error) {
	list := make([]map[string]json.RawMessage, 0, len(census))
	entries := make([]entry, 0, len(census))
	for _, e := range census {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for _, e := range entries {
		fields := make(map[string]json.RawMessage, len(e.fields))
		for name, value := range e.fields {
			fields[name] = value
		}
		for name, n := range map[string]int64{
			"first_seen_at": e.first, "last_seen_at": e.last, "connection_count": e.connections,
		} {
			fields[name] = fmt.Append(nil, n)
		}
		list = append(list, fields)
	}
	return json.Marshal(list)
}

// CarryCensus takes the register of one box to another, whose daemon merges it once:
// it knows an import that it has merged by its bytes, and keeps it under another name.
// The relay whose register goes is stopped first, so that the register is complete and
// stays as it is; a second call then finds its bytes on the other box and writes
// nothing. A box without a register has met nobody. A damaged one is an error, and
// nothing is written.
func (h *Hosts) CarryCensus(ctx context.Context, from, to fleet.Machine) error {
	source, err := h.box(from)
	if err != nil {
		return err
	}
	target, err := h.box(to)
	if err != nil {
		return err
	}
	if err := source.still(ctx); err != nil {
		return err
	}
	census, err := source.census(ctx, CensusFile)
	if err != nil || len(census) == 0 {
		return err
	}
	data, err := encodeCensus(census)
	if err != nil {
		return fmt.Errorf("carry census of %s: %w", from.Node, err)
	}
	if taken, err := target.holds(ctx, textDigest(string(data))); err != nil || taken {
		return err
	}
	err = target.dropCensus(ctx, census, data)
	target.audit(ctx, fmt.Sprintf("carry census: %d peers of %s", len(census), from.Node), err)
	return err
}

// still stops the relay if it runs: it writes its register before it ends.
func (b box) still(ctx context.Context) error {
	u, err := b.unit(ctx)
	if err != nil || !u.runs() {
		return err
	}
	err = b.stop(ctx)
	b.audit(ctx, "stop, for its census", err)
	return err
}

// census reads one register; one that is not there is empty.
func (b box) census(ctx context.Context, file string) (map[string]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	data, there, err := b.file(ctx, file, censusLimit)
	if errors.Is(err, sshx.ErrTooLarge) {
		return nil, fmt.Errorf("read census of %s: %s is larger than %d MiB", b.m.Node, file, censusLimit>>20)
	}
	if err != nil || !there {
		return nil, err
	}
	census, err := parseCensus(data, time.Now())
	if err != nil {
		return nil, fmt.Errorf("read census of %s: %s is damaged: %w", b.m.Node, file, err)
	}
	return census, nil
}

// censusTimeout bounds the reading or writing of one register.
const censusTimeout = 5 * time.Minute

// dropCensus writes an import, together with what another one that waits there holds,
// and makes sure that it arrived.
func (b box) dropCensus(ctx context.Context, census map[string]entry, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	pending, err := b.census(ctx, ImportFile)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		for key, e := range census {
			pending[key] = merged(pending[key], e)
		}
		if data, err = encodeCensus(pending); err != nil {
			return fmt.Errorf("write census: %w", err)
		}
	}
	if err := b.writeFile(ctx, ImportFile, data); err != nil {
		return err
	}
	arrived, err := b.holds(ctx, textDigest(string(data)))
	if err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	if !arrived {
		return fmt.Errorf("verify the copy: %s does not hold what was written to %s", b.m.Node, ImportFile)
	}
	return nil
}

// maxImports is how many imports that were merged before are looked at.
const maxImports = 50

// holds reports whether an import with this digest waits on the box or was merged there.
func (b box) holds(ctx context.Context, sum string) (bool, error) {
	if same, err := b.same(ctx, ImportFile, sum); err != nil || same {
		return same, err
	}
	out, err := b.exec(ctx, listState())
	if refused(err) {
		return false, nil // no such directory: nothing was ever started there
	}
	if err != nil {
		return false, err
	}
	looked := 0
	for name := range strings.Lines(out) {
		name = strings.TrimSuffix(name, "\n")
		if !strings.HasPrefix(name, path.Base(ImportFile)+".merged") || name != clean(name, 200) || strings.Contains(name, "/") {
			continue
		}
		if same, err := b.same(ctx, path.Join(StateDir, name), sum); err != nil || same {
			return same, err
		}
		if looked++; looked == maxImports {
			break
		}
	}
	return false, nil
}
