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
	"slices"
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
func parseCensus(data []byte) (map[string]entry, error) {
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

// covers reports whether merging b into a would change nothing that counts.
func (a entry) covers(b entry) bool {
	return a.key == b.key && a.first <= b.first && a.last >= b.last && a.connections >= b.connections
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

// missing is the part of a census that the others do not hold yet.
func missing(from map[string]entry, held ...map[string]entry) map[string]entry {
	out := make(map[string]entry)
	for key, e := range from {
		var has entry
		for _, h := range held {
			if other, ok := h[key]; ok {
				has = merged(has, other)
			}
		}
		if !has.covers(e) {
			out[key] = e
		}
	}
	return out
}

// CarryCensus takes the register of one box to another, whose daemon merges it once.
// It is done when every entry was read back there; entries that are there already are
// not sent, so that a second call writes nothing. A box without a register has met
// nobody. A damaged one is an error: nothing is written.
func (h *Hosts) CarryCensus(ctx context.Context, from, to fleet.Machine) error {
	source, err := h.box(from)
	if err != nil {
		return err
	}
	target, err := h.box(to)
	if err != nil {
		return err
	}
	census, err := source.census(ctx, CensusFile)
	if err != nil || len(census) == 0 {
		return err
	}
	own, err := target.census(ctx, CensusFile)
	if err != nil {
		return err
	}
	pending, err := target.census(ctx, ImportFile)
	if err != nil {
		return err
	}
	lacks := missing(census, own, pending)
	if len(lacks) == 0 {
		return nil
	}
	for key, e := range pending {
		lacks[key] = merged(lacks[key], e)
	}
	err = target.dropCensus(ctx, lacks, census)
	target.audit(ctx, fmt.Sprintf("carry census: %d peers of %s", len(lacks), from.Node), err)
	return err
}

// census reads one register; one that is not there is empty.
func (b box) census(ctx context.Context, path string) (map[string]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	data, there, err := b.file(ctx, path, censusLimit)
	if errors.Is(err, sshx.ErrTooLarge) {
		return nil, fmt.Errorf("read census of %s: %s is larger than %d MiB", b.m.Node, path, censusLimit>>20)
	}
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, nil
	}
	census, err := parseCensus(data)
	if err != nil {
		return nil, fmt.Errorf("read census of %s: %s is damaged: %w", b.m.Node, path, err)
	}
	return census, nil
}

// Times of a census on its way.
const (
	censusTimeout = 5 * time.Minute  // to read or write one file
	takenTimeout  = 30 * time.Second // for a daemon that has taken an import to write its own file
	takenPause    = 250 * time.Millisecond
)

// dropCensus writes the import and reads everything in census back, from the import
// or from the register of a daemon that was quicker.
func (b box) dropCensus(ctx context.Context, lacks, census map[string]entry) error {
	data, err := encodeCensus(lacks)
	if err != nil {
		return fmt.Errorf("write census: %w", err)
	}
	writing, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	if err := b.writeFile(writing, ImportFile, data); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, takenTimeout)
	defer cancel()
	for {
		pending, err := b.census(ctx, ImportFile)
		if err != nil {
			return fmt.Errorf("verify the copy: %w", err)
		}
		own, err := b.census(ctx, CensusFile)
		if err != nil {
			return fmt.Errorf("verify the copy: %w", err)
		}
		left := len(missing(census, own, pending))
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("verify the copy: %d of %d peers are not on %s: %w", left, len(census), b.m.Node, ctx.Err())
		case <-time.After(takenPause):
		}
	}
}
