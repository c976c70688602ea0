package history

import (
	"context"
	"slices"

	"github.com/relayfleet/fleetctl/stats"
)

// crowd is who was connected in a step: minutes, relays in each of them and users in each
// of them, added up, and the most in one minute.
type crowd struct{ minutes, relays, users, most int64 }

func (c *crowd) add(d crowd) {
	c.minutes, c.relays, c.users, c.most = c.minutes+d.minutes, c.relays+d.relays, c.users+d.users, max(c.most, d.most)
}

// concurrent is the mean of the users connected in the known minutes of each step, or the
// most in one of them: of the sums over the relays, minute by minute.
func (v *view) concurrent(ctx context.Context, peak bool) (lines, error) {
	crowds, err := v.crowds(ctx, ` AND c.relay = 0`)
	if err != nil {
		return nil, err
	}
	if crowds[""] == nil {
		crowds[""] = make([]crowd, v.axis.len())
	}
	missing, err := v.absent(ctx, crowds[""])
	if err != nil {
		return nil, err
	}
	if v.by {
		if crowds, err = v.crowds(ctx, ` AND c.relay > 0`); err != nil {
			return nil, err
		}
		for _, node := range v.nodes() {
			if crowds[node] == nil { // it told of no minute
				crowds[node] = make([]crowd, v.axis.len())
			}
		}
	}
	out := lines{}
	for node, list := range crowds {
		line := make([]stats.Figure, len(list))
		for i, c := range list {
			lacks := missing[i]
			if v.by { // who else is missing is no matter of its line
				lacks = only(lacks, node)
			}
			line[i] = unknown(lacks)
			if c.minutes == 0 {
				continue
			}
			value := float64(c.users) / float64(c.minutes)
			if peak {
				value = float64(c.most)
			}
			line[i] = known(value, lacks, v.axis.time(i).UTC())
		}
		out[node] = line
	}
	return out, nil
}

// nodes are the relays that were in the fleet in any step, sorted.
func (v *view) nodes() []string {
	var out []string
	for _, m := range v.members {
		if m.since < v.axis.to() && m.until > v.axis.from() {
			out = append(out, m.node)
		}
	}
	return sorted(out)
}

// only is the node alone, if it is in the list.
func only(list []string, node string) []string {
	if slices.Contains(list, node) {
		return []string{node}
	}
	return []string{}
}

// crowds adds samples of any step up, by node; "" is the fleet.
func (v *view) crowds(ctx context.Context, where string) (map[string][]crowd, error) {
	out := make(map[string][]crowd)
	steps := ` AND c.step IN (60, 3600, 86400)`
	switch v.axis.step {
	case StepMinute:
		steps = ` AND c.step = 60`
	case StepHour:
		steps = ` AND c.step IN (60, 3600)`
	}
	err := each(ctx, v.q, `SELECT COALESCE(r.node, ''), c.at, c.step, c.minutes, c.relays, c.users, c.most FROM concurrent c LEFT JOIN relays r ON r.id = c.relay
	WHERE c.at > ? AND c.at < ? AND (c.at >= ? OR c.step > 60)`+where+steps, []any{v.axis.from() - v.reach(), v.axis.to(), v.axis.from()}, func(scan func(...any) error) error {
		var node string
		var at, length int64
		var c crowd
		if err := scan(&node, &at, &length, &c.minutes, &c.relays, &c.users, &c.most); err != nil {
			return err
		}
		v.blur(at, length)
		if i, ok := v.axis.index(at); ok {
			if out[node] == nil {
				out[node] = make([]crowd, v.axis.len())
			}
			out[node][i].add(c)
		}
		return nil
	})
	return out, err
}

// absent names, for each step, the relays that were in the fleet and of which some of its
// known minutes are missing. They are looked up only where the numbers differ.
func (v *view) absent(ctx context.Context, fleet []crowd) ([][]string, error) {
	out := make([][]string, len(fleet))
	short := false
	for i, c := range fleet {
		out[i] = []string{}
		expected := int64(0)
		for _, m := range v.members {
			if v.expected(m, i) {
				expected++
			}
		}
		short = short || c.minutes == 0 && expected > 0 || c.relays < c.minutes*expected
	}
	if !short {
		return out, nil
	}
	nodes, err := v.crowds(ctx, ` AND c.relay > 0`)
	if err != nil {
		return nil, err
	}
	for i, c := range fleet {
		for _, m := range v.members {
			if !v.expected(m, i) {
				continue
			}
			var have int64
			if list := nodes[m.node]; list != nil {
				have = list[i].minutes
			}
			want := min(c.minutes, (min(m.until, v.axis.bounds[i+1])-max(m.since, v.axis.bounds[i]))/60)
			if v.axis.bounds[i] <= v.coverage.last && v.coverage.last < v.axis.bounds[i+1] {
				want-- // the relays were not asked in the same second
			}
			if have < max(1, want) {
				out[i] = append(out[i], m.node)
			}
		}
		out[i] = sorted(out[i])
	}
	return out, nil
}

// expected reports whether a member was in the fleet in a step.
func (v *view) expected(m member, i int) bool {
	return m.since < v.axis.bounds[i+1] && m.until > v.axis.bounds[i]
}
