package dnsaddr

// likeNim resolves as nim-libp2p does: one packet by UDP, and a value that does not
// parse ends it.
func (a *asking) likeNim(domain, id string) {
	all, failed := a.nimLevel(domain, id, a.habits.depth)
	if failed != "" {
		a.out.Failed = failed
		return
	}
	for _, v := range all {
		if !a.speaks(v.m) {
			a.unspoken = append(a.unspoken, v)
			continue
		}
		a.dialed = append(a.dialed, v)
	}
}

func (a *asking) nimLevel(domain, id string, depth int) (all []value, failed Reason) {
	if depth == 0 {
		return nil, LostPointer
	}
	s, failed := a.ask(domain)
	if failed != "" {
		return nil, failed
	}
	for _, t := range s.texts {
		v := t.whole
		switch {
		case v.kind == foreign:
		case v.kind == malformed:
			a.lose(s.name, LostMalformed, len(s.texts))
			return nil, LostMalformed
		case id != "" && v.id != id:
		case v.pointer == "":
			all = append(all, v)
		default:
			behind, failed := a.nimLevel(v.pointer, v.id, depth-1)
			if failed == LostMalformed {
				return nil, failed
			}
			if failed != "" {
				a.lose(s.name, LostPointer, 1)
			}
			all = append(all, behind...)
		}
	}
	return all, ""
}

// likeTXT reads one name as a program does that is no libp2p: it joins strings, follows
// nothing, and hands on what ends in a peer ID, pointers among them.
func (a *asking) likeTXT(domain, id string) {
	s, failed := a.ask(domain)
	if failed != "" {
		a.out.Failed = failed
		return
	}
	for _, t := range s.texts {
		v := t.whole
		switch {
		case v.kind == foreign:
		case v.kind == malformed:
			a.lose(s.name, LostMalformed, 1)
		case v.id == "" && v.pointer != "":
			a.lose(s.name, LostPointer, 1)
		case v.id == "":
			a.lose(s.name, LostNoID, 1)
		case id == "" || v.id == id:
			a.dialed = append(a.dialed, v)
		}
	}
}
