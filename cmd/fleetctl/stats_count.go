package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/bigmerge"
	"github.com/relayfleet/fleetctl/pkg/estimate"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStatsCount(a *app) *cobra.Command {
	var rough bool
	memory := 512
	cmd := &cobra.Command{
		Use:   "count FILE...",
		Short: "Count the different peers in census files of any size",
		Long: `Count the different peers in census files (bootnode-peers.json, or one entry on a line), each
peer once, however many files it is in; - is stdin. The probes of fleetctl are no peers. The
files may be larger than memory: what --memory does not hold goes to TMPDIR. An entry that makes
no sense is counted as damaged and the rest is used, exit 3. Nothing is taken into the history.

With --estimate a million peers or more are estimated, in 16 KiB, and the error is printed.`,
		Example: `  fleetctl stats count nyc1.json fra1.json sgp1.json
  zstd -dc old.json.zst | fleetctl stats count - --estimate`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactArgs("FILE...")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if memory < 16 || memory > 1<<20 {
				return fleet.WithHint(fmt.Errorf("stats count: --memory %d: accepted are 16 to 1048576", memory), "give it in MiB, such as 512")
			}
			done := a.busy("reading census files")
			v, err := a.count(cmd.Context(), args, rough, int64(memory)<<20)
			done()
			if err != nil {
				return err
			}
			if !rough && v.Peers.Value != nil && estimate.Offered(uint64(*v.Peers.Value)) {
				a.say("--estimate counts so many in 16 KiB of memory, with a standard error of %.1f %%", 100*estimate.Error())
			}
			return errors.Join(a.show(v), v.problem())
		},
	}
	cmd.Flags().BoolVar(&rough, "estimate", false, "estimate a million peers or more")
	cmd.Flags().IntVar(&memory, "memory", memory, "how many `MiB` peers may take in memory")
	return cmd
}

// counter is what the rows of census files go to.
type counter interface {
	begin()
	add(row *stats.Row) error
	result(ctx context.Context, v *countView) error
	io.Closer
}

// count reads the files one after the other. One that cannot be read costs itself.
func (a *app) count(ctx context.Context, names []string, rough bool, memory int64) (v countView, err error) {
	var c counter = exactly{bigmerge.New(bigmerge.Options{Memory: memory}), a}
	if rough {
		var salt estimate.Salt
		if _, err := rand.Read(salt[:]); err != nil {
			return v, fmt.Errorf("stats count: %w", err)
		}
		c = roughly{estimate.NewCounter(salt)}
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	v = countView{Files: []countedFile{}, Overlap: []uint64{}, Peers: stats.Figure{Missing: []string{}}}
	for _, name := range names {
		one, err := a.countFile(ctx, name, c)
		if err != nil {
			return v, err
		}
		v.Files = append(v.Files, one)
		if one.Error != "" {
			v.Peers.Missing = append(v.Peers.Missing, name)
		}
	}
	v.Peers.AtLeast, v.Peers.Since = len(v.Peers.Missing) > 0, stats.Time{Time: a.now().UTC()}
	if slices.ContainsFunc(v.Files, countedFile.read) {
		err = c.result(ctx, &v)
	}
	return v, err
}

// countFile reads one file. What is wrong with it stands in the result; an error is one
// of the disk, or the end of the command.
func (a *app) countFile(ctx context.Context, name string, c counter) (countedFile, error) {
	out := countedFile{File: name}
	c.begin()
	in, closeIn, err := a.openCensus(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the name is told already
		}
		out.Error = err.Error()
		return out, nil
	}
	defer closeIn()
	var stop error
	var entries, probes, bad, ahead uint64
	err = stats.ScanRegistry(in, a.now(), stats.ScanOptions{Lines: isLines(in)}, func(row *stats.Row) error {
		if entries++; entries%10_000 == 0 && ctx.Err() != nil {
			stop = context.Cause(ctx)
			return stop
		}
		if row.IsProbe() {
			probes++
			return nil
		}
		stop = c.add(row)
		return stop
	})
	if stop != nil {
		return out, fmt.Errorf("stats count: %s: %w", name, stop)
	}
	var damaged *stats.DamagedError
	if errors.As(err, &damaged) {
		bad, ahead = uint64(damaged.Damaged), uint64(damaged.Ahead)
	}
	if err != nil && (damaged == nil || bad > 0) {
		out.Error = err.Error()
	}
	if err == nil || damaged != nil || entries > 0 {
		out.Entries, out.Probes, out.Damaged, out.Ahead = &entries, &probes, &bad, &ahead
	}
	return out, nil
}

func (a *app) openCensus(name string) (*bufio.Reader, func(), error) {
	if name == "-" {
		return bufio.NewReader(a.stdin), func() {}, nil
	}
	f, err := os.Open(a.abs(name))
	if err != nil {
		return nil, nil, err
	}
	return bufio.NewReader(f), func() { _ = f.Close() }, nil // it was only read
}

// isLines reports whether the text is entries without an array around them.
func isLines(in *bufio.Reader) bool {
	for n := 1; n <= in.Size(); n++ {
		text, err := in.Peek(n)
		if err != nil {
			return false
		}
		switch text[n-1] {
		case ' ', '\t', '\r', '\n':
		default:
			return text[n-1] == '{'
		}
	}
	return false
}

// exactly counts on disk what memory does not hold.
type exactly struct {
	*bigmerge.Merger
	a *app
}

func (c exactly) begin() { c.Begin() }

func (c exactly) add(row *stats.Row) error { return c.Add(row.Key(), row.FirstSeenAt, row.LastSeenAt) }

func (c exactly) result(ctx context.Context, v *countView) error {
	r, err := c.Result(ctx, c.a.now(), nil)
	if err != nil {
		return fmt.Errorf("stats count: %w", err)
	}
	v.Peers.Value, v.Overlap = new(float64(r.Peers)), r.Overlap
	v.Active24h, v.Active7d, v.Active30d = &r.Active24h, &r.Active7d, &r.Active30d
	for i := range v.Files {
		if v.Files[i].read() {
			v.Files[i].Peers = &r.Counts[i]
		}
	}
	return nil
}

// roughly estimates what is much.
type roughly struct{ *estimate.Counter }

func (roughly) begin() {}

func (c roughly) add(row *stats.Row) error {
	c.Add(row.Key())
	return nil
}

func (c roughly) result(_ context.Context, v *countView) error {
	v.Peers = c.Figure(v.Peers.Missing, v.Peers.Since.Time)
	return nil
}

func (roughly) Close() error { return nil }

// countView is what census files have.
type countView struct {
	Peers     stats.Figure  `json:"peers"` // different ones in all files
	Active24h *uint64       `json:"active_peers_24h"`
	Active7d  *uint64       `json:"active_peers_7d"`
	Active30d *uint64       `json:"active_peers_30d"`
	Overlap   []uint64      `json:"overlap"` // how many peers are in exactly 1, 2, … files; empty for an estimate
	Files     []countedFile `json:"files"`
}

// countedFile is one of them; what is null could not be read.
type countedFile struct {
	File    string  `json:"file"`
	Entries *uint64 `json:"entries"` // that make sense, with doubles
	Peers   *uint64 `json:"peers"`   // different ones; null where all were estimated, too
	Damaged *uint64 `json:"damaged"` // entries, or broken pieces of text
	Ahead   *uint64 `json:"ahead"`   // entries that were seen in the future, which count as seen now
	Probes  *uint64 `json:"probes"`  // entries of fleetctl's probes, which are no peers
	Error   string  `json:"error"`   // why something is missing, "" if nothing is
}

// read reports whether anything of the file was.
func (f countedFile) read() bool { return f.Entries != nil }

func (v countView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{{Name: "file"}, {Name: "entries"}, {Name: "peers"}, {Name: "damaged"}, {Name: "ahead", Drop: 1}},
	}
	peers := figureCell(v.Peers, "peers")
	if !v.Peers.Exact() {
		peers = render.Marked{Mark: "~", Value: fmt.Sprintf("%.0f, with a standard error of %.1f %%", *v.Peers.Value, 100*v.Peers.Error)}
	}
	t.Facts = append(t.Facts, render.Fact{Name: "different peers", Value: peers})
	if v.Active24h != nil {
		t.Facts = append(t.Facts, render.Fact{Name: "active in 24 hours", Value: v.Active24h},
			render.Fact{Name: "active in 7 days", Value: v.Active7d}, render.Fact{Name: "active in 30 days", Value: v.Active30d})
	}
	for i, n := range v.Overlap {
		name := "in " + strconv.Itoa(i+1) + " files"
		if i == 0 {
			name = "in 1 file"
		}
		t.Facts = append(t.Facts, render.Fact{Name: name, Value: n})
	}
	for _, f := range v.Files {
		t.Rows = append(t.Rows, []any{f.File, f.Entries, f.Peers, f.Damaged, f.Ahead})
		if f.Probes != nil && *f.Probes > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d entries are probes of fleetctl, which are no peers.", f.File, *f.Probes))
		}
		if f.Ahead != nil && *f.Ahead > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d entries were seen in the future and count as seen now: a clock was wrong.", f.File, *f.Ahead))
		}
	}
	return t
}

// CSV has a row for each file, and one for all of them whose file is empty.
func (v countView) CSV() render.Table {
	t := render.Table{}
	for _, name := range []string{"file", "entries", "peers", "damaged", "ahead", "relative_error", "error", "probes"} {
		t.Columns = append(t.Columns, render.Column{Name: name})
	}
	for _, f := range v.Files {
		t.Rows = append(t.Rows, []any{f.File, f.Entries, f.Peers, f.Damaged, f.Ahead, nil, f.Error, f.Probes})
	}
	var all any
	if v.Peers.Value != nil {
		all = uint64(*v.Peers.Value)
	}
	t.Rows = append(t.Rows, []any{"", nil, all, nil, nil, v.Peers.Error, "", nil})
	return t
}

// problem names the files of which something is missing: exit 3.
func (v countView) problem() error {
	var errs []error
	for _, f := range v.Files {
		if f.Error != "" {
			errs = append(errs, withCode(exitPartial, fmt.Errorf("stats count: %s: %s", f.File, f.Error)))
		}
	}
	return errors.Join(errs...)
}
