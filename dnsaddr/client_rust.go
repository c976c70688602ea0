package dnsaddr

import ma "github.com/multiformats/go-multiaddr"

// Bounds of one dial of rust-libp2p.
const (
	rustTexts   = 16 // records of one name
	rustLookups = 32 // DNS lookups, of host names too
)

// likeRust resolves as rust-libp2p does: what was found last is looked at first, so that
// of several names the last one is tried to its end before any other.
func (a *asking) likeRust(domain, id string) {
	first := value{kind: good, pointer: domain, id: id}
	stack, lookups := []value{first}, 0
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v.pointer == "" {
			if startsWithName(v.m) {
				lookups++
			}
			if !a.speaks(v.m) {
				a.unspoken = append(a.unspoken, v)
				continue
			}
			if len(a.dialed) == a.habits.dials || lookups > rustLookups {
				a.lose(nameOf(domain), LostLimit, 1)
				continue
			}
			a.dialed = append(a.dialed, v)
			continue
		}
		if lookups == rustLookups {
			a.lose(nameOf(domain), LostLimit, 1)
			continue
		}
		lookups++
		found, failed := a.rustLookup(v)
		if failed != "" && len(stack) == 0 && len(a.dialed) == 0 {
			a.out.Failed = failed
		}
		stack = append(stack, found...)
	}
	if len(a.dialed) > 0 {
		a.out.Failed = ""
	}
}

// rustLookup is what the name that v points to leads to.
func (a *asking) rustLookup(v value) (found []value, failed Reason) {
	s, failed := a.ask(v.pointer)
	if failed != "" {
		return nil, failed
	}
	for _, t := range s.texts {
		switch {
		case t.first.kind == foreign:
		case t.first.kind == malformed:
			a.lose(s.name, why(t), 1)
		case v.id != "" && t.first.id != v.id:
			if len(t.strs) > 1 && t.whole.id == v.id {
				a.lose(s.name, LostStrings, 1)
			}
		case len(found) == rustTexts:
			a.lose(s.name, LostLimit, 1)
		default:
			found = append(found, t.first)
		}
	}
	return found, ""
}

// startsWithName reports whether a host name has to be looked up.
func startsWithName(m ma.Multiaddr) bool {
	switch m[0].Code() {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
		return true
	}
	return false
}
