package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// mutation is a command that changes the fleet: plan, show, ask, do, look again.
type mutation struct {
	command  []string // as the operator wrote it, for the audit log
	question string   // asked before the plan is carried out, unless approve is set
	flags    mutationFlags
	install  bool                                                         // relays may be installed: find the binary
	intent   func(s *session, st fleet.State) (fleet.Intent, error)       // what is asked for, given what is there
	finish   func(ctx context.Context, s *session, o fleet.Outcome) error // shows the result
	shown    func(s *session, p fleet.Plan)                               // nil, or what ends a dry run

	// approve, if set, asks in place of question; an error ends the command before anything is changed.
	approve func(ctx context.Context, s *session, st fleet.State, p fleet.Plan) error
}

// mutationFlags are the flags that every such command has.
type mutationFlags struct {
	dryRun   bool
	detailed bool
	lockWait time.Duration
	planFile string // up and dnsaddr sync
	partial  bool   // up alone
	planHash string // dnsaddr sync alone
	out      string // likewise
}

func (f *mutationFlags) register(cmd *cobra.Command) {
	dryRunFlag(cmd, &f.dryRun)
	cmd.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "with --dry-run: exit 2 if there are changes to make")
	cmd.Flags().DurationVar(&f.lockWait, "lock-wait", 0, "wait this `long` for another command on this fleet to end")
}

// mutate runs a mutation. --dry-run ends it after the plan; nothing else differs.
func (a *app) mutate(ctx context.Context, m mutation) (err error) {
	s, err := a.openFor(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	st, err := s.observe(ctx)
	if err != nil {
		return err
	}
	if err := s.unlisted(ctx, st); err != nil {
		return err
	}
	in, err := m.intent(s, st)
	if err != nil {
		return err
	}
	if m.install {
		if in.Release, err = s.release(); err != nil {
			return err
		}
	}
	st, in, plan, short := s.priced(ctx, st, in, m.flags.partial)
	s.digest.Store(plan.Digest())
	if err := s.keepPlan(m.flags, plan); err != nil {
		return err
	}
	shown := plan
	if m.flags.planFile != "" {
		if shown, err = s.savedPlan(m.flags.planFile, plan); err != nil {
			return err
		}
	}
	view := render.PlanView{Plan: plan, Effect: s.effect(st, plan)}
	refusal := short
	if refusal == nil {
		refusal = fleet.Guard(s.spec, st, in, plan)
	}
	if m.flags.dryRun {
		err := a.showPlan(view, refusal, m.flags.detailed)
		if m.shown != nil && refusal == nil {
			m.shown(s, plan)
		}
		return errors.Join(append(problems(plan, st), err)...)
	}
	if refusal != nil {
		_ = a.tell(view)
		return refusal
	}
	// A plan without changes may still lead to some, as soon as what it waits for is there.
	idle := plan.Empty() && !plan.Soon()
	if !idle {
		if err := a.tell(view); err != nil {
			return err
		}
		if err := s.approve(ctx, m, st, plan); err != nil {
			return err
		}
	}
	if err := s.forgetGone(ctx, st); err != nil {
		return err
	}
	return s.carryOut(ctx, m, in, st, shown, idle)
}

// approve returns nil if the operator wants the plan that was shown.
func (s *session) approve(ctx context.Context, m mutation, st fleet.State, p fleet.Plan) error {
	if m.approve != nil {
		return m.approve(ctx, s, st, p)
	}
	return s.app.confirm(ctx, m.question)
}

// openFor opens the session that a mutation needs: a dry run takes no lock and writes nothing.
func (a *app) openFor(ctx context.Context, m mutation) (*session, error) {
	if m.flags.dryRun {
		return a.read(m.command...)
	}
	return a.write(ctx, m.flags.lockWait, m.command...)
}

// carryOut converges and shows the result.
func (s *session) carryOut(ctx context.Context, m mutation, in fleet.Intent, st fleet.State, shown fleet.Plan, idle bool) error {
	if !idle {
		s.audit("begun", nil)
	}
	progress := s.app.progress()
	outcome, err := fleet.Converge(ctx, s.b, s.spec, in, st, shown, progress.Event)
	progress.Close()
	if err != nil {
		result := "failed"
		if ctx.Err() != nil {
			result = "interrupted"
		}
		s.audit(result, err)
		if errors.Is(err, fleet.ErrStalePlan) {
			return withCode(exitRefused, err)
		}
		return err
	}
	missing := outcomeError(outcome)
	switch {
	case missing != nil:
		s.audit("partial", missing)
	case !idle:
		s.audit("done", nil)
	}
	return errors.Join(m.finish(ctx, s, outcome), missing)
}

// commandLine is a command as the operator wrote it, for the audit log.
func commandLine(cmd *cobra.Command, args []string) []string {
	line := append(strings.Fields(path(cmd)), args...)
	cmd.LocalFlags().Visit(func(f *pflag.Flag) { line = append(line, "--"+f.Name+"="+f.Value.String()) })
	return line
}

// observe reads the whole fleet and says so. From then on the spec says which zone it is that
// the records were read from, also where the environment named it or a search found it: plans
// are bound to that one.
func (s *session) observe(ctx context.Context) (fleet.State, error) {
	s.app.say("reading fleet %s …", s.spec.Name)
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if z, known := s.zone.(interface{ ID() string }); known {
		s.spec.DNS.Cloudflare.ZoneID = z.ID()
	}
	return st, errors.Join(err, barred(st))
}

// barred is why no command can go on: the provider or the zone does not let us in, or has
// a fleet of somebody else under our name. Any other failed reading is a part of the state.
func barred(st fleet.State) error {
	if errors.Is(st.Records.Err, dnsaddr.ErrAuth) {
		return st.Records.Err
	}
	for _, why := range []error{fleet.ErrAuth, fleet.ErrOtherFleet, fleet.ErrQuota} {
		if errors.Is(st.Machines.Err, why) {
			return st.Machines.Err
		}
	}
	return nil
}

// priced plans, asks the provider what the plan's purchases cost, and cuts them to the
// room that the account has if partial allows it. short is why they cannot be made.
func (s *session) priced(ctx context.Context, st fleet.State, in fleet.Intent, partial bool) (_ fleet.State, _ fleet.Intent, plan fleet.Plan, short error) {
	plan = fleet.Diff(s.spec, st, in)
	st, err := fleet.WithQuote(ctx, s.b, s.spec, st, plan)
	if err != nil {
		return st, in, plan, err
	}
	if in, short = in.Fit(st.Quote.Value, partial); short != nil {
		return st, in, plan, short
	}
	if in.Most != nil {
		plan = fleet.Diff(s.spec, st, in)
		st, short = fleet.WithQuote(ctx, s.b, s.spec, st, plan)
	}
	return st, in, plan, short
}

// release finds the relay binary that boxes get.
func (s *session) release() (fleet.Release, error) {
	binary := s.spec.Relay.Binary
	if binary != "" {
		binary = s.app.abs(binary)
	}
	return host.FindRelease(binary, s.app.executable)
}

// anyPlatform are the session's hosts. Boxes that are no part of this computer may be of
// another platform: each gets the build that is made for it.
func (s *session) anyPlatform() fleet.Hosts {
	if s.spec.Provider == fleet.ProviderLocal {
		return s.hosts
	}
	return s.hosts.WithBuilds(sync.OnceValues(func() (host.Builds, error) {
		main, err := s.release()
		if err != nil {
			return host.Builds{}, err
		}
		of, err := host.FindBuilds(main)
		return host.Builds{Main: main, Of: of}, err
	}))
}

// keepPlan writes the plan where the flags say, and refuses another than the one that
// they approve.
func (s *session) keepPlan(f mutationFlags, p fleet.Plan) error {
	if f.out != "" {
		if err := savePlan(s.app.abs(f.out), p); err != nil {
			return err
		}
	}
	if f.planHash != "" && f.planHash != p.Digest() {
		err := fmt.Errorf("the plan is another one than was approved: its hash is %s, --plan-hash says %s", p.Digest(), render.SafeUpTo(f.planHash, 80))
		return withCode(exitRefused, fleet.WithHint(err, "the fleet, its zone or fleet.yaml changed meanwhile: look at the plan again with --dry-run"))
	}
	return nil
}

// savedPlan reads a plan that was approved earlier, and refuses to do more than it shows.
func (s *session) savedPlan(path string, now fleet.Plan) (fleet.Plan, error) {
	f, err := os.Open(s.app.abs(path))
	if err != nil {
		return fleet.Plan{}, fmt.Errorf("plan file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	saved, err := fleet.DecodePlan(f, s.spec)
	if err != nil {
		return fleet.Plan{}, fleet.WithHint(fmt.Errorf("%s: %w", path, err), "write a new one with 'fleetctl plan --out "+path+"'")
	}
	if !saved.Covers(now) {
		err := fmt.Errorf("%s: %w", path, fleet.Stale(saved.Uncovered(now)))
		return fleet.Plan{}, withCode(exitRefused, err)
	}
	return saved, nil
}

// showPlan is the end of a dry run.
func (a *app) showPlan(v render.PlanView, refusal error, detailed bool) error {
	if err := a.show(v); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	if detailed && !v.Plan.Empty() {
		return silently(exitPending)
	}
	return nil
}

// tell shows a plan on stderr, for somebody who is about to be asked.
func (a *app) tell(v render.PlanView) error {
	if a.globals.quiet && a.globals.yes {
		return nil
	}
	return render.Plan(a.stderr, v.Plan, v.Effect, render.Options{
		Width:  a.columns(a.err),
		Colour: render.Colourful(a.globals.colour.value, a.getenv, a.err.terminal),
	})
}

// outcomeError says what a run did not achieve, and why the provider let it in no more.
func outcomeError(o fleet.Outcome) error {
	var errs []error
	for _, f := range o.Failures {
		errs = append(errs, withCode(exitPartial, f))
	}
	failed := make(map[string]bool)
	for _, f := range o.Failures {
		failed[nodeOf(f)] = true
	}
	for _, k := range o.Plan.Problems() { // told below, in words of its own
		failed[k.Ref.Node] = failed[k.Ref.Node] || k.Ref.Kind == fleet.KindMachine
	}
	for _, d := range o.Plan.Deferred {
		if failed[d.Ref.Node] || d.Action == fleet.ActionIntroduce {
			continue
		}
		code := exitPartial
		if d.Action == fleet.ActionPublish {
			code = exitUnverified
		}
		errs = append(errs, withCode(code, ofNode(d.Ref.Node, fmt.Errorf("%s: %s: still waiting for %s", d.Ref.Node, d.Action, d.Waiting))))
	}
	errs = append(errs, problems(o.Plan, o.State)...)
	return errors.Join(append(errs, barred(o.State))...)
}

// problems turns what a plan from st keeps in spite of a problem into errors.
func problems(p fleet.Plan, st fleet.State) []error {
	var errs []error
	for _, k := range p.Problems() {
		subject := k.Ref.Node
		if subject == "" {
			subject = p.Fleet
		}
		text := subject + ": " + k.Reason
		if k.Ref.Kind == fleet.KindRecord {
			text = subject + ": " + k.Ref.ID + " is kept: " + k.Reason
		}
		err := errors.New(text)
		hint := k.Hint
		if k.Ref.Node != "" {
			hint = cmp.Or(hint, "see why with 'fleetctl logs "+k.Ref.Node+"' and 'fleetctl doctor'")
		}
		if hint != "" {
			err = fleet.WithHint(err, hint)
		}
		code := exitPartial
		if unread := st.Records.Err; unread != nil && strings.HasSuffix(k.Reason, unread.Error()) {
			err = fleet.WithHint(err, fleet.Hint(unread))
			if errors.Is(unread, dnsaddr.ErrFull) { // the zone's rate did not allow to read it
				code = exitQuota
			}
		}
		errs = append(errs, withCode(code, ofNode(k.Ref.Node, err)))
	}
	return errs
}
