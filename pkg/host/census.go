package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/stats"
)

// CarryCensus takes the register of one box to another, whose daemon merges it once:
// it knows an import that it has merged by its bytes, and keeps it under another name.
// The relay whose register goes is stopped first, so that the register is complete and
// stays as it is; a second call then finds its bytes on the other box and writes
// nothing. An import that still waits on the first box is a part of its register. A box
// without a register has met nobody. A damaged one is an error, and nothing is written.
func (h *Hosts) CarryCensus(ctx context.Context, from, to fleet.Machine) error {
	source, err := h.ours(from)
	if err != nil {
		return err
	}
	target, err := h.ours(to)
	if err != nil {
		return err
	}
	if err := source.still(ctx); err != nil {
		return err
	}
	census, err := source.wholeCensus(ctx)
	if err != nil || len(census) == 0 {
		return err
	}
	data, err := json.Marshal(census)
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

// wholeCensus is the register with the import that its daemon has not merged yet.
func (b box) wholeCensus(ctx context.Context) ([]stats.CensusEntry, error) {
	own, err := b.census(ctx, b.own(CensusFile))
	if err != nil {
		return nil, err
	}
	waiting, err := b.census(ctx, b.own(ImportFile))
	if err != nil {
		return nil, err
	}
	return stats.MergeEntries(own, waiting), nil
}

// census reads one register, one entry for each peer; one that is not there is empty.
func (b box) census(ctx context.Context, file string) ([]stats.CensusEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	data, there, err := b.file(ctx, file, stats.MaxRegistry)
	if errors.Is(err, sshx.ErrTooLarge) {
		return nil, fmt.Errorf("read census of %s: %s is larger than %d MiB", b.m.Node, file, stats.MaxRegistry>>20)
	}
	if err != nil || !there {
		return nil, err
	}
	census, err := stats.ParseRegistry(bytes.NewReader(data), time.Now())
	var damaged *stats.DamagedError
	if errors.As(err, &damaged) && damaged.Damaged == 0 {
		err = nil // a clock was wrong, and no entry is missing
	}
	if err != nil {
		return nil, fmt.Errorf("read census of %s: %s is damaged: %w", b.m.Node, file, err)
	}
	return stats.MergeEntries(census, nil), nil
}

// censusTimeout bounds the reading or writing of one register.
const censusTimeout = 5 * time.Minute

// dropCensus writes an import, together with what another one that waits there holds,
// and makes sure that it arrived.
func (b box) dropCensus(ctx context.Context, census []stats.CensusEntry, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	pending, err := b.census(ctx, b.own(ImportFile))
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		if data, err = json.Marshal(stats.MergeEntries(pending, census)); err != nil {
			return fmt.Errorf("write census: %w", err)
		}
		if same, err := b.same(ctx, b.own(ImportFile), textDigest(string(data))); err != nil || same {
			return err // an earlier run wrote it
		}
	}
	if err := b.writeFile(ctx, b.own(ImportFile), data); err != nil {
		return err
	}
	arrived, err := b.holds(ctx, textDigest(string(data)))
	if err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	if !arrived {
		return fmt.Errorf("verify the copy: %s does not hold what was written to %s", b.m.Node, b.own(ImportFile))
	}
	return nil
}

// maxImports is how many imports that were merged before are looked at.
const maxImports = 50

// holds reports whether an import with this digest waits on the box or was merged there.
func (b box) holds(ctx context.Context, sum string) (bool, error) {
	if same, err := b.same(ctx, b.own(ImportFile), sum); err != nil || same {
		return same, err
	}
	out, err := b.exec(ctx, listState(stateOf(b.m)))
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
		if same, err := b.same(ctx, path.Join(stateOf(b.m), name), sum); err != nil || same {
			return same, err
		}
		if looked++; looked == maxImports {
			break
		}
	}
	return false, nil
}
