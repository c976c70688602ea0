package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newStatsExport(a *app) *cobra.Command {
	var anonymous bool
	var floor int
	out := outFile{private: true}
	o := &ownOutput{usual: &a.globals.output, only: true, forms: []string{string(history.FormatCSV), string(history.FormatJSON), string(history.FormatParquet)}}
	cmd := &cobra.Command{
		Use:   "export --anonymous",
		Short: "Write one row for each peer, without names",
		Long: `Write one row for each peer, without keys, peer IDs and addresses: a hash with a salt that is
made for this export and thrown away, the weeks of the first and the last sight, and what the
peer is, where at least --floor peers are the same. There is no other export.`,
		Example:           `  fleetctl stats export --anonymous -o parquet --out peers.parquet`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !anonymous {
				err := errors.New("stats export: peers are exported without names only")
				return withCode(exitRefused, fleet.WithHint(err, "say so: --anonymous; docs/privacy.md says what is left in it"))
			}
			if err := o.check(cmd); err != nil {
				return err
			}
			if floor < 2 {
				return fmt.Errorf("stats export: --floor %d: at least 2 are accepted", floor)
			}
			if err := o.follow(cmd, &out); err != nil {
				return err
			}
			form := cmp.Or(o.form, string(history.FormatCSV))
			return a.withHistory(cmd.Context(), cmd, history.Options{ReadOnly: true}, func(store *history.Store) error {
				var done history.Exported
				err := out.write(a, cmd, form != string(history.FormatParquet), func(w io.Writer) (err error) {
					done, err = store.ExportAnonymous(cmd.Context(), w, history.Anonymous{Format: history.Format(form), Floor: floor})
					return err
				})
				if err == nil {
					a.say("%d peers have a row; in %d of these something was left out, and %d peers have none, so that at least %d are the same",
						done.Peers, done.Coarsened, done.Withheld, done.Floor)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&anonymous, "anonymous", false, "without names: the only export there is")
	cmd.Flags().IntVar(&floor, "floor", 5, "the smallest `number` of peers that is told apart")
	out.register(cmd)
	ownOutputFlag(cmd, o)
	return cmd
}

func newStatsImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE...",
		Short: "Take CSV files by fleet-stats.sh, or by 'stats --csv', into the history",
		Long: `Take CSV files by fleet-stats.sh, or by 'stats --csv', into the history. Rows that make no
sense are counted, told of and left out: exit 3. A file that is imported twice counts once.`,
		Example: `  fleetctl stats import stats-2025.csv stats-2026.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactArgs("FILE...")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withHistory(cmd.Context(), cmd, history.Options{}, func(store *history.Store) error {
				v := importedView{Files: []importedFile{}}
				for _, name := range args {
					one, err := a.importFile(cmd, store, name)
					if err != nil {
						return errors.Join(a.showSome(v), err)
					}
					v.Files = append(v.Files, one)
				}
				return errors.Join(a.show(v), v.problem())
			})
		},
	}
}

// showSome shows what was done before an error, if anything was.
func (a *app) showSome(v importedView) error {
	if len(v.Files) == 0 {
		return nil
	}
	return a.show(v)
}

func (a *app) importFile(cmd *cobra.Command, store *history.Store, name string) (importedFile, error) {
	f, err := os.Open(a.abs(name))
	if err != nil {
		return importedFile{}, fmt.Errorf("stats import: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	done, err := store.Import(cmd.Context(), a.now(), f)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return importedFile{}, fmt.Errorf("stats import: %s: %w", name, err)
	}
	return importedFile{File: name, Imported: done}, nil
}

// importedView is what was taken over from files.
type importedView struct {
	Files []importedFile `json:"files"`
}

type importedFile struct {
	File string `json:"file"`
	history.Imported
}

func (v importedView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "file"}, {Name: "rows"}, {Name: "known"}, {Name: "bad"}, {Name: "regions"}, {Name: "since"}, {Name: "until"}}}
	for _, f := range v.Files {
		t.Rows = append(t.Rows, []any{f.File, f.Rows, f.Known, f.Bad, f.Relays, f.Since.Time, f.Until.Time})
		for _, why := range f.First {
			t.Notes = append(t.Notes, f.File+": "+why)
		}
	}
	return t
}

// problem names the files with rows that make no sense: exit 3.
func (v importedView) problem() error {
	var errs []error
	for _, f := range v.Files {
		if f.Bad > 0 {
			errs = append(errs, withCode(exitPartial, fmt.Errorf("stats import: %s: %d rows make no sense and were left out", f.File, f.Bad)))
		}
	}
	return errors.Join(errs...)
}

func newStatsForget(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "forget PEER",
		Short: "Erase a peer from the history",
		Long: `Erase everything about a peer from the history, by its peer ID or its public key (base64 or
hex). A salted hash stays, by which it is left out when a relay names it again. The census on
the relays, and files that were exported, are not changed.`,
		Example:           `  fleetctl stats forget 12D3KooW… --yes`,
		Args:              exactArgs("PEER"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withHistory(cmd.Context(), cmd, history.Options{}, func(store *history.Store) error {
				if err := a.confirm(cmd.Context(), "Erase this peer from the history, for good?"); err != nil {
					return err
				}
				done, err := store.Forget(cmd.Context(), a.now(), args[0])
				if err != nil {
					return err
				}
				return a.show(forgottenView{done})
			})
		},
	}
}

// forgottenView is what was erased of a peer.
type forgottenView struct{ history.Forgotten }

func (v forgottenView) Table() render.Table {
	return render.Table{Facts: []render.Fact{
		{Name: "peer", Value: v.Peer},
		{Name: "was known", Value: v.Known},
		{Name: "relays that knew it", Value: v.Relays},
		{Name: "as of", Value: v.At},
	}}
}

// CSV is one row.
func (v forgottenView) CSV() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "peer"}, {Name: "known"}, {Name: "relays"}, {Name: "at"}},
		Rows:    [][]any{{v.Peer, v.Known, v.Relays, v.At}},
	}
}
