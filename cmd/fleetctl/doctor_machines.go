package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// examineAccount looks at the price and at the room for what is missing. Where machines
// cost nothing there is neither.
func (s *session) examineAccount(ctx context.Context, st fleet.State, v *doctorView) {
	if !st.Machines.OK() {
		return
	}
	missing := fleet.Diff(s.spec, st, fleet.Intent{}).Orders(s.spec)
	q, err := s.b.Provider.Quote(ctx, nil)
	if err == nil && q.Currency == "" && q.Limit == 0 {
		return
	}
	var room error
	if q.Limit > 0 && q.Used+len(missing) > q.Limit {
		room = fmt.Errorf("%d of %d machines are used, and the fleet needs %d more", q.Used, q.Limit, len(missing))
	}
	detail := fmt.Sprintf("%d machines on the account", q.Used)
	if q.Limit > 0 {
		detail = fmt.Sprintf("%d of %d machines on the account", q.Used, q.Limit)
	}
	v.add("quota", errors.Join(err, room), detail, "ask the provider for a higher limit, or for fewer nodes")
	if err == nil {
		v.add("price", nil, q.Monthly().InAMonth(q.Currency), "")
	}
}

// examineDrift looks at how the firewall, machines and boxes differ from the spec.
func examineDrift(st fleet.State, v *doctorView) {
	if st.Machines.OK() && len(st.Machines.Value) > 0 {
		v.add("firewall", errors.Join(st.Shared.Err, drifted(st.Shared.Value)), "as the spec says", "run 'fleetctl up'")
	}
	for _, m := range st.Machines.Value {
		if m.Adopted {
			continue // it is not ours to change, and what it differs in is no fault
		}
		all := m.Drift
		if rel := st.Relays[m.ID]; rel.OK() {
			all = append(all[:len(all):len(all)], rel.Value.Drift...)
		}
		if err := drifted(all); err != nil {
			v.add("drift "+m.Node, err, "", driftFix(m, all))
		}
	}
}

// drifted names differences, nil if there are none.
func drifted(all []fleet.Drift) error {
	words := make([]string, len(all))
	for i, d := range all {
		words[i] = fmt.Sprintf("%s is %s, the spec says %s (%s)", d.Name, quoteless(d.From), quoteless(d.To), d.Fix)
	}
	if len(words) == 0 {
		return nil
	}
	return errors.New(strings.Join(words, "; "))
}

// quoteless is a value for people, also where there is none.
func quoteless(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}

// driftFix is the command that puts the dearest of the differences right.
func driftFix(m fleet.Machine, all []fleet.Drift) string {
	for _, d := range all {
		if d.Fix == fleet.FixReplace {
			return "run 'fleetctl replace-region " + m.Region + "' for what only another machine can be"
		}
	}
	return "run 'fleetctl up'"
}

// mostSkew is how far a box's clock may be off: beyond it, certificates and the order of
// events in logs begin to suffer.
const mostSkew = 10 * time.Second

// examineClocks compares the boxes' clocks with ours. Local boxes have ours.
func (s *session) examineClocks(ctx context.Context, machines []fleet.Machine, v *doctorView) {
	if s.spec.Provider == fleet.ProviderLocal || len(machines) == 0 {
		return
	}
	problems := make([]string, len(machines))
	var group errgroup.Group
	group.SetLimit(statsParallel)
	runner := s.app.wrapRunner(s.ssh)
	for i, m := range machines {
		group.Go(func() error {
			if m.Status != fleet.StatusRunning {
				return nil
			}
			skew, err := clockSkew(ctx, runner, m, s.app.now)
			switch {
			case err != nil:
				problems[i] = fmt.Sprintf("%s: its clock cannot be read: %v", m.Node, err)
			case skew.Abs() > mostSkew:
				problems[i] = fmt.Sprintf("%s: its clock is off by %s", m.Node, skew.Round(time.Second))
			}
			return nil
		})
	}
	_ = group.Wait()
	var problem error
	if found := slices.DeleteFunc(problems, func(p string) bool { return p == "" }); len(found) > 0 {
		problem = errors.New(strings.Join(found, "; "))
	}
	v.add("clocks", problem, "the boxes' clocks agree with this computer's", "see 'timedatectl' on the box, and on this computer")
}

// clockSkew is how far a box's clock is ahead of ours, to the second.
func clockSkew(ctx context.Context, runner sshx.Runner, m fleet.Machine, now func() time.Time) (time.Duration, error) {
	at, err := host.Target(m)
	if err != nil {
		return 0, err
	}
	command := sshx.Command{Argv: []string{"date", "+%s"}, ReadOnly: true, Timeout: 15 * time.Second, MaxOutput: 64}
	if _, err := runner.Run(ctx, at, command); err != nil { // dials, so that the next answer is quick
		return 0, err
	}
	asked := now()
	res, err := runner.Run(ctx, at, command)
	if err != nil {
		return 0, err
	}
	middle := asked.Add(now().Sub(asked) / 2)
	secs, err := strconv.ParseInt(strings.TrimSpace(string(res.Stdout)), 10, 64)
	if err != nil || res.ExitCode != 0 {
		return 0, fmt.Errorf("date: exit %d, %.20q", res.ExitCode, res.Stdout)
	}
	return time.Unix(secs, 0).Sub(middle.Truncate(time.Second)), nil
}
