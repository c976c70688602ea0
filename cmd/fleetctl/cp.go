package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	slashpath "path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newCopy(a *app) *cobra.Command {
	var sel selection
	var force bool
	var concurrency int
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "Copy a file to boxes, or from them",
		Long: `Copy a file to boxes, or from them. One of SRC and DST is NODE:PATH, where NODE may be a
region or a glob, or :PATH with --on, --region or --tag; PATH is absolute. From several
boxes each file's name ends in its node.

A file arrives whole or not at all, and its SHA-256 is compared with what the other side
has. A local file is not overwritten without --force, one on a box is. What is fetched is
readable by you alone.`,
		Example: `  fleetctl cp ./motd nyc1-1:/etc/motd
  fleetctl cp ./motd :/etc/motd --region nyc1
  fleetctl cp 'nyc*:/var/lib/relay/peer-id.txt' ./ids/`,
		Args:              exactArgs("SRC", "DST"),
		ValidArgsFunction: a.completeBoxPaths,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := atLeastOne("cp", concurrency); err != nil {
				return err
			}
			order, err := parseCopy(args[0], args[1], &sel)
			if err != nil {
				return err
			}
			s, err := a.read("cp")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			chosen, err := s.selected(cmd.Context(), sel)
			if err != nil {
				return err
			}
			order.local, order.force, order.parallel = a.abs(order.local), force, concurrency
			done := a.busy(fmt.Sprintf("copying %s, %s", filepath.Base(order.local), boxesCount(len(chosen))))
			v := s.copy(cmd.Context(), chosen, order)
			done()
			return errors.Join(a.show(v), v.verdict())
		},
	}
	sel.register(a, cmd, true)
	cmd.Flags().BoolVar(&force, "force", false, "overwrite local files")
	cmd.Flags().IntVar(&concurrency, "concurrency", 5, "how many `boxes` at once")
	return cmd
}

// completeBoxPaths offers the nodes with their colon; the shell completes files itself.
func (a *app) completeBoxPaths(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	nodes, directive := a.completeNodes(cmd, nil, word)
	if len(args) >= 2 || len(nodes) == 0 {
		return nil, directive
	}
	for i := range nodes {
		nodes[i] += ":"
	}
	return nodes, cobra.ShellCompDirectiveNoSpace
}

// copyOrder is what is to be copied.
type copyOrder struct {
	fetch    bool // from the boxes
	local    string
	remote   string
	intoDir  bool // local was written as a directory
	force    bool
	parallel int
}

// parseCopy tells the side of the boxes from the local one, and completes the selection.
func parseCopy(src, dst string, sel *selection) (copyOrder, error) {
	from, fromPath, srcRemote := remoteSide(src)
	to, toPath, dstRemote := remoteSide(dst)
	var o copyOrder
	var on string
	switch {
	case srcRemote == dstRemote:
		err := errors.New("cp: one of SRC and DST has to be on a box, and the other here")
		return o, fleet.WithHint(err, "write NODE:PATH for the box's side, and ./NAME for a local file with a colon in its name")
	case srcRemote:
		on, o = from, copyOrder{fetch: true, remote: fromPath, local: dst}
	default:
		on, o = to, copyOrder{remote: toPath, local: src}
		if strings.HasSuffix(o.remote, "/") {
			o.remote += filepath.Base(src)
		}
	}
	o.intoDir = strings.HasSuffix(o.local, "/") || o.local == "." || o.local == ".."
	switch {
	case on != "" && sel.given():
		return o, fmt.Errorf("cp: %q and a selection were given", on+":")
	case on != "":
		sel.on = []string{on}
	default:
		if err := sel.require("cp"); err != nil {
			return o, err
		}
	}
	if o.fetch && strings.HasSuffix(o.remote, "/") {
		return o, fmt.Errorf("cp: %s: a directory cannot be copied", o.remote)
	}
	return o, nil
}

// remoteSide splits NODE:PATH. A word with a slash before its first colon is local.
func remoteSide(word string) (node, path string, remote bool) {
	node, path, found := strings.Cut(word, ":")
	if !found || strings.ContainsAny(node, `/\`) {
		return "", "", false
	}
	return node, path, true
}

// copyView is what was copied, in the order of selection.
type copyView struct {
	Files []copyRow `json:"files"`
}

// copyRow is the file of one box.
type copyRow struct {
	Node   string  `json:"node"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Bytes  int64   `json:"bytes"`
	SHA256 string  `json:"sha256"` // "" if it was not copied
	TookMS float64 `json:"took_ms"`
	Error  string  `json:"error"`

	err error `json:"-"`
}

// copy carries an order out on every machine.
func (s *session) copy(ctx context.Context, machines []fleet.Machine, o copyOrder) copyView {
	v := copyView{Files: make([]copyRow, len(machines))}
	var group errgroup.Group
	group.SetLimit(o.parallel)
	for i, m := range machines {
		group.Go(func() error {
			start := s.app.now()
			row := &v.Files[i]
			row.Node = m.Node
			row.From, row.To = o.local, o.remote
			if o.fetch {
				row.From, row.To = o.remote, o.destination(m, len(machines) > 1)
			}
			switch row.err = withheld(m); {
			case row.err != nil:
			case o.fetch:
				row.err = s.fetch(ctx, m, o, row)
			default:
				row.err = s.send(ctx, m, row)
			}
			row.TookMS = milliseconds(s.app.now().Sub(start))
			if row.err != nil {
				row.Error = row.err.Error()
			}
			return nil
		})
	}
	_ = group.Wait()
	return v
}

// destination is where the file of one box goes.
func (o copyOrder) destination(m fleet.Machine, several bool) string {
	to := o.local
	if info, err := os.Stat(to); o.intoDir || err == nil && info.IsDir() {
		to = filepath.Join(to, slashpath.Base(o.remote))
	}
	if several {
		to += "." + m.Node
	}
	return to
}

// verdict names the boxes whose file was not copied: exit 3 if there were several.
func (v copyView) verdict() error {
	var errs []error
	for _, r := range v.Files {
		if r.err == nil {
			continue
		}
		err := ofNode(r.Node, aboutNode(r.Node, r.err))
		if len(v.Files) > 1 {
			err = withCode(exitPartial, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (v copyView) Table() render.Table {
	t := render.Table{Columns: []render.Column{
		{Name: "node"}, {Name: "from", Drop: 1}, {Name: "to"}, {Name: "bytes"}, {Name: "sha256", Show: render.WideOnly}, {Name: "copied"}, {Name: "error", Show: render.CSVOnly},
	}}
	for _, r := range v.Files {
		copied := render.Toned{Value: r.err == nil, Tone: render.Good}
		if r.err != nil {
			copied.Tone = render.Bad
		}
		t.Rows = append(t.Rows, []any{r.Node, r.From, r.To, r.Bytes, r.SHA256, copied, r.Error})
	}
	return t
}
