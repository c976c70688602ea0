package fleet

import "slices"

// Covers reports whether next does only what p showed: every change of next stands in p,
// or p deferred it. A change that takes something away must be there with the very
// machine or record; one that adds may fill in an ID that was not known yet. Watching
// and waiting are always covered.
func (p Plan) Covers(next Plan) bool { return len(p.Uncovered(next)) == 0 }

// Uncovered lists the changes of next that p did not show.
func (p Plan) Uncovered(next Plan) []Change {
	out := []Change{}
	if next.Fleet != p.Fleet || next.Domain != p.Domain || next.Zone != p.Zone {
		return append(out, next.Changes()...)
	}
	for _, c := range next.Changes() {
		if !p.showed(c) {
			out = append(out, c)
		}
	}
	return out
}

func (p Plan) showed(c Change) bool {
	if c.Action == ActionWatch || c.Action == ActionWait {
		return true
	}
	for _, d := range p.Deferred {
		if d.Action == c.Action && d.Ref.matches(c.Ref, c.Action) {
			return true
		}
	}
	return p.contains(func(x Change) bool {
		// Setting a new machine up is more than its relay.
		if (c.Action == ActionRekey || c.Action == ActionSettle) && x.Action == ActionConfigure && x.Ref.matches(c.Ref, x.Action) {
			return true
		}
		return x.Action == c.Action && x.Ref.matches(c.Ref, c.Action) && slices.Equal(x.Fields, c.Fields)
	})
}

// matches reports whether a shown ref stands for a later one.
func (r Ref) matches(later Ref, a Action) bool {
	if r.Kind != later.Kind || r.Node != later.Node {
		return false
	}
	return r.ID == later.ID && r.Name == later.Name || r.ID == "" && adds(a)
}

// adds reports whether an action takes nothing away.
func adds(a Action) bool {
	switch a {
	case ActionCreate, ActionStart, ActionConfigure, ActionIntroduce, ActionPublish:
		return true
	}
	return false
}

// Without drops the changes that concern the nodes, for a run that goes on without them.
func (p Plan) Without(nodes map[string]bool) Plan {
	out := p
	out.Stages = []Stage{}
	for _, s := range p.Stages {
		s.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool { return nodes[c.Ref.Node] })
		if len(s.Changes) > 0 {
			out.Stages = append(out.Stages, s)
		}
	}
	out.Deferred = slices.DeleteFunc(slices.Clone(p.Deferred), func(d Deferral) bool { return nodes[d.Ref.Node] })
	return out
}
