package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// lintFlags are what `dnsaddr lint` is told.
type lintFlags struct {
	relays, regions int
	client          choice
	tcpBlocked      bool
	resolver        string
}

// everyClient is the value of --client that names no family.
const everyClient = "all"

func newDNSAddrLint(a *app) *cobra.Command {
	families := []string{everyClient}
	for _, f := range dnsaddr.Families() {
		families = append(families, string(f))
	}
	flags := lintFlags{client: choice{value: everyClient, accepted: families}}
	cmd := &cobra.Command{
		Use:   "lint [NAME]",
		Short: "Say what each kind of client makes of the records, and what to change",
		Long: `Say how many relays each kind of client would really try, how much it has to ask for, and
what is lost for which reason. It connects to no relay.

Without arguments it looks at the fleet's own records. With --relays it looks at the layout
that a fleet of so many relays would be published in, with or without a fleet.yaml. With a
NAME (_dnsaddr.bootstrap.libp2p.io) it asks a resolver, whoever owns the name.

Exit 4 if a kind of client that can receive large answers finds no relay at all.`,
		Example: `  fleetctl dnsaddr lint --relays 100
  fleetctl dnsaddr lint _dnsaddr.bootstrap.libp2p.io --client rust-libp2p`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return nil
			}
			return exactArgs("NAME")(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := a.lint(cmd, args, flags)
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.verdict())
		},
	}
	f := cmd.Flags()
	f.IntVar(&flags.relays, "relays", 0, "look at the layout of `N` relays that nobody runs")
	f.IntVar(&flags.regions, "regions", 0, "with --relays: spread them over `N` regions")
	f.Var(&flags.client, "client", "one kind of client: "+strings.Join(families, ", "))
	_ = cmd.RegisterFlagCompletionFunc("client", cobra.FixedCompletions(families, cobra.ShellCompDirectiveNoFileComp))
	f.BoolVar(&flags.tcpBlocked, "tcp-blocked", false, "judge networks alone in which TCP/53 is blocked")
	f.StringVar(&flags.resolver, "resolver", "", "with NAME: the DNS `server` to ask (default: this computer's)")
	return cmd
}

// maxMadeUp bounds --relays: beyond it DNS is the wrong place.
const maxMadeUp = 10_000

// lint looks at what the arguments ask for.
func (a *app) lint(cmd *cobra.Command, args []string, flags lintFlags) (lintView, error) {
	madeUp := cmd.Flags().Changed("relays")
	switch {
	case madeUp && len(args) > 0:
		return lintView{}, fleet.WithHint(errors.New("dnsaddr lint: --relays goes without a NAME"), "leave one of them out")
	case madeUp && (flags.relays < 1 || flags.relays > maxMadeUp):
		return lintView{}, fmt.Errorf("dnsaddr lint: --relays %d: 1..%d are accepted", flags.relays, maxMadeUp)
	case flags.regions < 0 || cmd.Flags().Changed("regions") && (!madeUp || flags.regions < 1 || flags.regions > flags.relays):
		return lintView{}, fleet.WithHint(fmt.Errorf("dnsaddr lint: --regions %d: 1 to as many as --relays are accepted", flags.regions), "give --relays as well")
	case flags.resolver != "" && len(args) == 0:
		return lintView{}, fleet.WithHint(errors.New("dnsaddr lint: --resolver goes with a NAME"), "name what to ask for, such as _dnsaddr.bootstrap.libp2p.io")
	case madeUp:
		return a.lintLayout(flags)
	case len(args) > 0:
		return a.lintName(cmd.Context(), args[0], flags)
	}
	return a.lintFleet(cmd.Context(), flags)
}

// lintLayout judges a fleet that is not there, with the policy of the spec, if there is one.
func (a *app) lintLayout(flags lintFlags) (lintView, error) {
	spec, err := unspecified(), error(nil)
	if _, missing := os.Stat(a.specPath()); !errors.Is(missing, fs.ErrNotExist) || a.globals.config != defaultConfig {
		if spec, err = a.loadSpec(); err != nil {
			return lintView{}, err
		}
	}
	spec = madeUpFleet(spec, flags.relays, flags.regions)
	records, err := madeUpRecords(spec)
	if err != nil {
		return lintView{}, err
	}
	v := newLintView(reviewOf(spec, records), flags)
	v.Source = lintedLayout
	return v, nil
}

// lintFleet judges the records of the fleet's own zone.
func (a *app) lintFleet(ctx context.Context, flags lintFlags) (v lintView, err error) {
	s, err := a.read("dnsaddr", "lint")
	if err != nil {
		return lintView{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	records, err := s.b.Zone.Records(ctx, s.spec.DNS.RecordName())
	if err != nil {
		return lintView{}, err
	}
	v = newLintView(reviewOf(s.spec, records), flags)
	v.Source = lintedZone
	return v, nil
}

// reviewOf is the look at a fleet's own records. A compact name without any is looked at, too.
func reviewOf(s fleet.Spec, records []dnsaddr.Record) dnsaddr.Review {
	layout := s.Layout()
	r := dnsaddr.Review{Entry: layout.Entry(), Compact: layout.Compact(), Answers: dnsaddr.AnswersOf(records)}
	if _, there := r.Answers[r.Compact]; !there && r.Compact != "" {
		r.Answers[r.Compact] = dnsaddr.Answer{}
	}
	return r
}

// Bounds of what is asked for at a name of somebody else.
const (
	lintNames = 64 // names
	lintDepth = 6  // pointers behind one another
)

// lintName judges what a resolver says of a name.
func (a *app) lintName(ctx context.Context, name string, flags lintFlags) (lintView, error) {
	domain := strings.ToLower(strings.TrimSuffix(name, "."))
	domain = strings.TrimPrefix(strings.TrimPrefix(domain, "/dnsaddr/"), "_dnsaddr.")
	if err := dnsaddr.CheckName(domain); err != nil {
		return lintView{}, fmt.Errorf("dnsaddr lint: %w", err)
	}
	server, err := lintServer(flags.resolver)
	if err != nil {
		return lintView{}, err
	}
	r := a.reviewOfName(dnsaddr.Name(domain))
	done := a.busy("asking for " + domain)
	answers, failed, err := lookAround(ctx, server, r.Entry, r.Compact)
	done()
	if err != nil {
		return lintView{}, err
	}
	r.Answers = answers
	v := newLintView(r, flags)
	v.Source, v.Resolver, v.Errors = lintedDNS, server.String(), append(v.Errors, failed...)
	return v, nil
}

// reviewOfName is the look at a name that a resolver is asked for: one of the fleet's own,
// if there is a fleet.yaml that says so, or one of somebody else.
func (a *app) reviewOfName(name string) dnsaddr.Review {
	if spec, err := a.loadSpec(); err == nil {
		if layout := spec.Layout(); slices.Contains(layout.Names(), name) {
			return dnsaddr.Review{Entry: name, Compact: layout.Compact()}
		}
	}
	return dnsaddr.Review{Entry: name, Foreign: true}
}

// lintServer is the resolver that was named, or this computer's first.
func lintServer(named string) (resolve.Server, error) {
	if named != "" {
		return resolve.ParseServer(named)
	}
	servers := resolve.System()
	if len(servers) == 0 {
		return resolve.Server{}, fleet.WithHint(errors.New("dnsaddr lint: this computer has no resolver"), "name one with --resolver")
	}
	return servers[0], nil
}

// lookAround asks for the records of a name, of a compact one if there is one, and of those
// that they lead to. A name that did not answer, the first one excepted, is in failed and
// not in the answers: nothing is known of it.
func lookAround(ctx context.Context, server resolve.Server, entry, compact string) (_ dnsaddr.Answers, failed []string, _ error) {
	client, answers, asked := new(resolve.Client), make(dnsaddr.Answers), make(map[string]bool)
	level := []string{entry}
	if compact != "" {
		level = append(level, compact)
	}
	for depth := 0; depth < lintDepth && len(level) > 0; depth++ {
		var next []string
		for _, name := range level {
			if asked[name] || len(asked) >= lintNames {
				continue
			}
			asked[name] = true
			got, err := client.Ask(ctx, server, resolve.Question{Name: name})
			if err == nil {
				err = got.Err()
			}
			if err != nil {
				if name == entry {
					return nil, nil, fmt.Errorf("%s: %w", name, err)
				}
				failed = append(failed, name+": "+err.Error())
				continue
			}
			answers[name] = answerOf(got)
			next = append(next, pointers(got)...)
		}
		level = next
	}
	return answers, failed, nil
}

// answerOf is an answer as the models of clients take it.
func answerOf(got resolve.Answer) dnsaddr.Answer {
	a := dnsaddr.Answer{TTL: got.TTL(), NoName: got.NoName()}
	if len(got.Aliases) > 0 {
		a.Alias = got.Aliases[len(got.Aliases)-1]
	}
	for _, r := range got.Records {
		a.Texts = append(a.Texts, r.Strings)
	}
	return a
}

// pointers are the names that the records of an answer lead to.
func pointers(got resolve.Answer) []string {
	var out []string
	for _, r := range got.Records {
		rest, ok := strings.CutPrefix(r.Value, "dnsaddr=/dnsaddr/")
		domain, _, _ := strings.Cut(rest, "/")
		if domain = strings.ToLower(domain); ok && dnsaddr.CheckName(domain) == nil && !slices.Contains(out, dnsaddr.Name(domain)) {
			out = append(out, dnsaddr.Name(domain))
		}
	}
	return out
}
