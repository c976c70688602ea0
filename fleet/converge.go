package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of one run.
const (
	maxPasses   = 24 // that apply something: a replacement needs five
	lookAgain   = 500 * time.Millisecond
	freshEnough = 5 * time.Second // a state this young is acted on without another look
)

// Outcome is how a run ended.
type Outcome struct {
	State    State   // as last observed
	Plan     Plan    // what is still to be done, from State
	Failures []error // changes that were tried and failed, *[Failure]s
}

// Settled reports whether everything asked for is there, and known to be.
func (o Outcome) Settled() bool {
	return len(o.Failures) == 0 && o.Plan.Empty() && len(o.Plan.Deferred) == 0 && len(o.Plan.Problems()) == 0
}

// Converge runs until the fleet is what the spec says or nothing more can be done: it
// applies, observes and plans again. It does only what shown covers, and stops with
// [ErrStalePlan] when more would be needed. first is the state that shown was made
// from; it is read again if it is old.
//
// A node that could not be provisioned or configured is left behind and the others go
// on; a failure later in a plan ends the run. What is only a matter of time is waited
// for, at most rollout.healthy_deadline without progress.
func Converge(ctx context.Context, b Backends, s Spec, in Intent, first State, shown Plan, progress func(Event)) (Outcome, error) {
	c := &convergence{b: b, spec: s, intent: in, shown: shown, progress: progress, set: make(map[string]bool), behind: make(map[string]bool), moved: time.Now()}
	st := first
	if time.Since(st.At) > freshEnough {
		var err error
		if st, err = Observe(ctx, b, s); err != nil {
			return Outcome{State: st, Plan: Diff(s, st, in)}, err
		}
	}
	for {
		more, err := c.pass(ctx, st)
		if err != nil || !more {
			return c.outcome, errors.Join(append([]error{err}, c.failuresBeside(err)...)...)
		}
		if st, err = Observe(ctx, b, s); err != nil {
			return c.outcome, err
		}
	}
}

// unsettled is the error of a fleet that still wants changes after the last pass.
func unsettled(left []Change) error {
	const most = 10
	names := targets(left[:min(len(left), most)])
	if len(left) > most {
		names = append(names, fmt.Sprintf("and %d more", len(left)-most))
	}
	return WithHint(fmt.Errorf("%w after %d passes: the fleet changes while it is being changed; still to do: %s",
		ErrNotSettled, maxPasses, strings.Join(names, ", ")),
		"see that nobody else changes the fleet, and run the same command again")
}

// targets are changes as errors name them: "restart nyc1-1 4711".
func targets(changes []Change) []string {
	names := make([]string, 0, len(changes))
	for _, c := range changes {
		names = append(names, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Action, c.Ref.Node, c.Ref.ID)))
	}
	return names
}

// failuresBeside lists what failed earlier in a run that an error ends, so that nothing
// is lost; a run that ends by itself returns its failures in the outcome.
func (c *convergence) failuresBeside(err error) []error {
	if err == nil {
		return nil
	}
	return c.outcome.Failures
}

// convergence is one Converge under way.
type convergence struct {
	b        Backends
	spec     Spec
	intent   Intent
	shown    Plan
	progress func(Event)

	applied int             // passes that changed something
	set     map[string]bool // nodes whose relay was set up in this run
	behind  map[string]bool // nodes that failed
	moved   time.Time       // when something was last achieved
	waiting string          // what was last reported as waited for
	outcome Outcome
}

// pass plans from st and applies. It returns false when there is nothing more to do.
func (c *convergence) pass(ctx context.Context, st State) (more bool, err error) {
	full := Diff(c.spec, st, c.intent)
	c.outcome.State, c.outcome.Plan = st, full
	c.leaveFallen(full)
	plan := full.Without(c.behind)
	if extra := c.shown.Uncovered(plan); len(extra) > 0 {
		return false, Stale(extra)
	}
	if plan.Empty() {
		return c.idle(ctx, plan)
	}
	if c.applied == maxPasses {
		return false, unsettled(plan.Changes())
	}
	err = Apply(ctx, c.b, c.spec, c.intent, st, plan, c.progress)
	c.applied++
	c.moved = time.Now()
	for _, done := range plan.Changes() {
		c.set[done.Ref.Node] = c.set[done.Ref.Node] || done.Action == ActionConfigure
	}
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return true, c.leaveBehind(err)
}

// leaveFallen leaves the nodes behind whose relay was set up in this run, served, and
// does not run any more: setting it up again would do the same again.
func (c *convergence) leaveFallen(p Plan) {
	for _, again := range p.Changes() {
		if node := again.Ref.Node; again.Action == ActionConfigure && c.set[node] && !c.behind[node] {
			c.behind[node] = true
			c.outcome.Failures = append(c.outcome.Failures, &Failure{Stage: StageConfigure, Change: again,
				Err: WithHint(errors.New("it was set up in this run and did not stay: "+again.Reason), "look at `fleetctl logs "+node+"`")})
		}
	}
}

// idle waits a moment if time alone may bring what is missing.
func (c *convergence) idle(ctx context.Context, plan Plan) (more bool, err error) {
	if !plan.Soon() || time.Since(c.moved) > c.spec.Rollout.HealthyDeadline {
		return false, nil
	}
	for _, d := range plan.Deferred {
		if d.Soon && c.progress != nil && d.Waiting != c.waiting {
			c.waiting = d.Waiting
			c.progress(Event{Kind: EventWaiting, Change: Change{Action: d.Action, Ref: d.Ref}, Detail: d.Waiting, Elapsed: time.Since(c.moved)})
			break
		}
	}
	return true, pause(ctx, lookAgain)
}

// leaveBehind notes the nodes that failed while they were being brought up. Any other
// error ends the run.
func (c *convergence) leaveBehind(err error) error {
	for _, e := range unjoin(err) {
		var f *Failure
		if !errors.As(e, &f) || f.Stage != StageProvision && f.Stage != StageConfigure || f.Change.Action == ActionRestart {
			return err
		}
	}
	for _, e := range unjoin(err) {
		var f *Failure
		if errors.As(e, &f) {
			c.behind[f.Change.Ref.Node] = true
			c.outcome.Failures = append(c.outcome.Failures, f)
		}
	}
	return nil
}

// unjoin lists the errors that errors.Join put together, however deep.
func unjoin(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, unjoin(e)...)
	}
	return out
}

// Stale is the error of a plan that does not cover what would be done.
func Stale(extra []Change) error {
	return WithHint(fmt.Errorf("%w: %s", ErrStalePlan, strings.Join(targets(extra), ", ")),
		"the fleet changed meanwhile; look at `fleetctl plan` and run again")
}
