package dnsaddr

import "slices"

// goAddrs is the most addresses that go-libp2p takes of one name, and of one dial.
const goAddrs = 100

// likeGo resolves as go-libp2p's swarm does: a peer ID is compared only with what is
// left after the 100th address. kubo compares it before, and takes values with an ID only.
func (a *asking) likeGo(domain, id string) {
	suffix, expected := "", id
	if a.family == Kubo {
		suffix, expected = id, ""
	}
	all, failed := a.goLevel(domain, suffix, expected, a.habits.depth, goAddrs)
	if failed != "" {
		a.out.Failed = failed
		return
	}
	for _, v := range all {
		switch {
		case v.pointer != "":
			a.lose(nameOf(domain), LostPointer, 1)
		case v.id == "" && id == "":
			a.lose(nameOf(domain), LostNoID, 1)
		default:
			a.dialed = append(a.dialed, v)
		}
	}
}

// goLevel is one name and the ones behind it, one after another, room addresses at most.
// suffix is compared before they are counted, and expected after that.
func (a *asking) goLevel(domain, suffix, expected string, depth, room int) (all []value, failed Reason) {
	if room <= 0 {
		return nil, ""
	}
	s, failed := a.ask(domain)
	if failed != "" {
		return nil, failed
	}
	var found []value
	for _, t := range s.texts {
		v := t.whole
		switch {
		case v.kind == foreign:
		case v.kind == malformed:
			a.lose(s.name, LostMalformed, 1)
		case suffix != "" && v.id != suffix:
		case a.family == Kubo && v.id == "":
			a.lose(s.name, LostNoID, 1)
		default:
			found = append(found, v)
		}
	}
	if most := min(goAddrs, room); len(found) > most {
		a.lose(s.name, LostLimit, len(found)-most)
		found = found[:most]
	}
	var pointers []value
	for _, v := range found {
		if v.pointer == "" {
			all = append(all, v)
		} else {
			pointers = append(pointers, v)
		}
	}
	for i, p := range pointers {
		if depth <= 1 {
			all = append(all, p) // it takes the room of an address, and cannot be dialed
			continue
		}
		behind, failed := a.goLevel(p.pointer, p.id, expected, depth-1, room-len(all)-(len(pointers)-i)+1)
		if failed != "" {
			a.lose(s.name, LostPointer, 1)
			continue
		}
		all = append(all, behind...)
	}
	if expected != "" {
		all = slices.DeleteFunc(all, func(v value) bool { return v.id != "" && v.id != expected })
	}
	return all, ""
}
