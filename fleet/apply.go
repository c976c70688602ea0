package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// drainPoll is how often a draining relay is asked what is left.
const drainPoll = time.Second

// Apply makes the changes of a plan, stage by stage. It asks Guard first, and again on
// a fresh observation before everything that withdraws, restarts or deletes.
//
// Within a stage the changes that can go on do so after one has failed; the next stage
// begins only when all have succeeded. What failed is returned as joined *[Failure]s.
// Every change may run twice, so that a run that was cut off is gone on with by
// observing and planning again. progress may be nil; it is called by one goroutine at a time.
func Apply(ctx context.Context, b Backends, s Spec, in Intent, st State, p Plan, progress func(Event)) error {
	if err := Guard(s, st, in, p); err != nil {
		return err
	}
	run := &run{b: b, spec: s, intent: in, seen: st.At, probes: st.Probes, reporter: newReporter(progress)}
	if len(p.Orders(s)) > 0 {
		if err := run.afford(ctx, p); err != nil {
			return err // before a machine is marked that nothing could replace
		}
	}
	for _, stage := range p.Stages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := run.stage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// run is one Apply under way.
type run struct {
	b        Backends
	spec     Spec
	intent   Intent
	seen     time.Time                        // when the state was observed that the plan is from
	probes   map[dnsaddr.Addr]Observed[Probe] // of that state
	reporter *reporter
	looks    looks
}

// stage makes the changes of one stage.
func (r *run) stage(ctx context.Context, st Stage) error {
	if st.Name == StagePublish || st.Name == StageWithdraw {
		return r.records(ctx, st)
	}
	if st.Name == StageProvision && slices.ContainsFunc(st.Changes, func(c Change) bool { return c.Action == ActionCreate }) {
		if err := r.prepare(ctx); err != nil {
			return err
		}
	}
	size := max(st.Parallel, 1)
	var failed []error
	for batch := range slices.Chunk(st.Changes, size) {
		if err := r.ask(ctx, Stage{Name: st.Name, Parallel: size, Changes: batch}); err != nil {
			return errors.Join(append(failed, err)...)
		}
		machines, err := r.machines(ctx)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		errs := make([]error, len(batch))
		each(size, len(batch), func(i int) {
			errs[i] = r.one(ctx, st.Name, batch[i], machines)
		})
		failed = append(failed, errs...)
		if slices.ContainsFunc(batch, func(c Change) bool { return c.Action == ActionRestart }) && errors.Join(errs...) != nil {
			break // a bad release or setting stops at the first relay
		}
	}
	return errors.Join(failed...)
}

// afford lets Guard judge today's prices and limits before anything is bought.
func (r *run) afford(ctx context.Context, p Plan) error {
	now := State{At: time.Now(), Machines: readProvider(ctx, r.b.Provider.Machines)}
	now, err := WithQuote(ctx, r.b, r.spec, now, p)
	if err != nil {
		return err
	}
	if err := roomFor(now.Quote.Value); err != nil {
		return err
	}
	g := &guard{roles: assign(r.spec, now, r.intent)}
	g.checkBudget(p)
	if len(g.objections) > 0 {
		return &Refusal{Objections: g.objections}
	}
	return nil
}

// prepare makes the provider ready for its first machine.
func (r *run) prepare(ctx context.Context) error {
	if err := r.b.Provider.EnsureKey(ctx, r.b.Key); err != nil {
		return err
	}
	return r.b.Provider.EnsureFirewall(ctx)
}

// ask observes and lets Guard judge once more before something is taken away, or
// published on the strength of an old probe.
func (r *run) ask(ctx context.Context, st Stage) error {
	_, err := r.askNow(ctx, st)
	return err
}

// askNow also returns what was seen; it is the zero State, which has no time, if nothing
// had to be looked at.
func (r *run) askNow(ctx context.Context, st Stage) (State, error) {
	old := time.Since(r.seen) > freshEnough
	taking := func(c Change) bool {
		switch c.Action {
		case ActionWithdraw, ActionDelete, ActionRestart:
			return true
		case ActionPublish:
			return old // what a probe saw then may not serve any more
		}
		return false
	}
	if !slices.ContainsFunc(st.Changes, taking) {
		return State{}, nil
	}
	now, err := Observe(ctx, r.b, r.spec)
	if err != nil {
		return State{}, err
	}
	if err := now.Machines.Err; errors.Is(err, ErrQuota) || errors.Is(err, ErrAuth) {
		return State{}, err // Guard would only say that they are not listed
	}
	return now, r.permit(now, st)
}

// permit asks Guard about one stage.
func (r *run) permit(st State, stage Stage) error {
	return Guard(r.spec, st, r.intent, Plan{Version: PlanVersion, Fleet: r.spec.Name, Stages: []Stage{stage}})
}

// machines lists the fleet's machines for the changes that are about one.
func (r *run) machines(ctx context.Context) ([]Machine, error) {
	o := readProvider(ctx, r.b.Provider.Machines)
	return o.Value, o.Err
}

// one makes one change and reports it.
func (r *run) one(ctx context.Context, stage string, c Change, machines []Machine) error {
	done := r.reporter.begin(stage, c)
	err := r.do(ctx, stage, c, machines)
	done(err)
	if err != nil {
		return &Failure{Stage: stage, Change: c, Err: err}
	}
	return nil
}

func (r *run) do(ctx context.Context, stage string, c Change, machines []Machine) error {
	m, listed := find(machines, c.Ref)
	switch c.Action {
	case ActionCreate:
		return r.create(ctx, c)
	case ActionStart:
		return r.start(ctx, stage, c)
	case ActionAdjust:
		if c.Ref.Kind == KindFleet {
			return r.b.Provider.EnsureFirewall(ctx)
		}
		return r.b.Provider.Adjust(ctx, c.Ref.ID)
	case ActionCleanup:
		return r.b.Provider.Cleanup(ctx)
	case ActionDelete:
		if !listed {
			return nil
		}
		return r.remove(ctx, stage, c, m)
	}
	if !listed {
		return fmt.Errorf("%s: %w", cmp.Or(c.Ref.ID, c.Ref.Node), ErrNoMachine)
	}
	if m.Problem != "" {
		return errors.New(m.Problem)
	}
	switch c.Action {
	case ActionMark:
		return r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkPhase: fieldTo(c, MarkPhase)}, nil)
	case ActionConfigure:
		return r.setUp(ctx, stage, c, m)
	case ActionSettle:
		return r.b.Hosts.Settle(ctx, m)
	case ActionRekey:
		return r.rekey(ctx, m)
	case ActionUninstall:
		return r.b.Hosts.Uninstall(ctx, m)
	case ActionRestart:
		return r.restart(ctx, stage, c, m)
	case ActionIntroduce:
		return r.b.Hosts.Introduce(ctx, m, splitPeers(fieldTo(c, "peers")))
	case ActionWait:
		if err := r.wait(ctx, stage, c, fieldTo(c, "for")); err != nil {
			return err
		}
		return r.forgotten(ctx, stage, c, m)
	case ActionDrain:
		return r.drain(ctx, stage, c, m)
	case ActionCensus:
		heir, ok := find(machines, Ref{ID: fieldTo(c, "to")})
		if !ok {
			return fmt.Errorf("census for %s: %w", fieldTo(c, "to"), ErrNoMachine)
		}
		return r.b.Hosts.CarryCensus(ctx, m, heir)
	}
	return fmt.Errorf("this version does not know the action %q", c.Action)
}

// setUp makes a relay of a box: it waits until the box takes commands, replaces the host
// key that came with its order, and configures it.
func (r *run) setUp(ctx context.Context, stage string, c Change, m Machine) error {
	if err := r.await(ctx, stage, c, m); err != nil {
		return err
	}
	if err := r.rekey(ctx, m); err != nil {
		return err
	}
	return r.configure(ctx, stage, c, m)
}

// rekey replaces a box's host key, each key marked before it is shown.
func (r *run) rekey(ctx context.Context, m Machine) error {
	return r.b.Hosts.Rekey(ctx, m, func(ctx context.Context, keys string) error {
		return r.b.Provider.Mark(ctx, m.ID, map[string]string{MarkHostKey: keys}, nil)
	})
}

// configure sets a box's relay up; the release goes along only if the plan says so.
func (r *run) configure(ctx context.Context, stage string, c Change, m Machine) error {
	var release Release
	if fieldTo(c, fieldRelease) != "" {
		release = r.intent.Release
	}
	r.reporter.waiting(stage, c, "relay serving: its unit active and /readyz, at most "+r.spec.Rollout.HealthyDeadline.String())
	ctx, cancel := context.WithTimeout(ctx, r.spec.Rollout.HealthyDeadline)
	defer cancel()
	return r.b.Hosts.Configure(ctx, m, RelayConfig(r.spec, m), release)
}

// restart changes a relay that serves, and waits until a probe finds it serving again.
func (r *run) restart(ctx context.Context, stage string, c Change, m Machine) error {
	if err := r.configure(ctx, stage, c, m); err != nil {
		return err
	}
	addrs, err := r.addresses(ctx, m)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		r.reporter.waiting(stage, c, "verified: a probe of "+a.String()+", at most "+r.spec.Rollout.HealthyDeadline.String())
		if err := r.untilVerified(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// find looks up the machine that a change is about: by ID, or, for one that the same
// plan ordered, the slot's active machine with the lowest operation of those that are shown
// to be ours.
func find(machines []Machine, ref Ref) (Machine, bool) {
	var found Machine
	for _, m := range machines {
		if ref.ID != "" {
			if m.ID == ref.ID {
				return m, true
			}
			continue
		}
		if m.Node == ref.Node && m.Phase == PhaseActive && !m.untouchable() && (found.ID == "" || m.Op < found.Op) {
			found = m
		}
	}
	return found, found.ID != ""
}

// fieldTo is the wanted value of a change's field, "" if it has none of the name.
func fieldTo(c Change, name string) string {
	for _, f := range c.Fields {
		if f.Name == name {
			return f.To
		}
	}
	return ""
}

// fieldFrom is what a change's field was, "" if it has none of the name.
func fieldFrom(c Change, name string) string {
	for _, f := range c.Fields {
		if f.Name == name {
			return f.From
		}
	}
	return ""
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
