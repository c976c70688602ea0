package dnsaddr

import (
	"fmt"
	"strings"
)

// Review is a look at the names of a fleet, or of somebody else, for what clients stumble
// over, and for what to do about it.
type Review struct {
	Entry string // the entry name
	// Compact is the name for clients that read [MaxUDP] bytes and no more, in lower case,
	// "" without one.
	Compact string
	// Foreign is set for names that fleetctl does not publish: then no advice names it or
	// its settings.
	Foreign bool
	// Answers are those of the names that are known: a name that did not answer is not there.
	Answers Answers
}

// Fix says what to change so that a loss of a family in a network is none: something that
// can be done where the records are as they are.
func (r Review) Fix(l Loss, f Family, n Network) string {
	switch l.Reason {
	case LostTruncated:
		return r.fixTruncated(l, f, n)
	case LostTooLarge, LostLimit:
		return "give clients the names of the lists, or the peer ID of one relay"
	case LostForeign:
		return "remove what is no dnsaddr record"
	case LostMalformed:
		return "remove the value, or write it anew"
	case LostStrings:
		return "write the value as one string of at most 255 bytes"
	case LostNoID:
		return "end the value in /p2p/ID"
	case LostPointer:
		return "publish the addresses themselves"
	case LostTransport:
		return "publish a TCP address as well"
	case LostMissing:
		return r.fixEmpty()
	}
	return ""
}

// fixTruncated is for an answer that does not arrive in whole.
func (r Review) fixTruncated(l Loss, f Family, n Network) string {
	var ways []string
	if f.habits().tcp {
		ways = append(ways, "open TCP/53 towards the resolver")
	}
	if f.EDNS() && n.udp() > MaxUDP {
		ways = append(ways, r.fewerAddresses(l.Name)...)
	}
	if !f.EDNS() || !r.compactFits() || len(NewClients(r.Answers).Resolve(f, n, r.compactDomain(), "").Relays) > 0 {
		ways = append(ways, r.smallerName())
	}
	return strings.Join(ways, ", or ")
}

// smallerName is the advice to clients that need a smaller answer.
func (r Review) smallerName() string {
	compact, known := r.Answers[r.Compact]
	switch {
	case r.Foreign:
		return "give such clients the addresses themselves"
	case r.Compact == "":
		return "set dns.publish.compact and give such clients that name"
	case known && len(compact.Texts) == 0:
		return "publish the compact name with 'fleetctl dnsaddr sync', and give such clients that name"
	case r.tooLarge(r.Compact):
		return fmt.Sprintf("bring the compact name below %d bytes, and give such clients that name", MaxUDP)
	}
	return "give such clients /dnsaddr/" + r.compactDomain()
}

func (r Review) compactDomain() string { return strings.TrimPrefix(r.Compact, label) }

// compactFits reports whether something stands at the compact name, and fits.
func (r Review) compactFits() bool {
	return r.Compact != "" && len(r.Answers[r.Compact].Texts) > 0 && !r.tooLarge(r.Compact)
}

// fixLarge is for a name that clients find nothing at that read [MaxUDP] bytes and no more.
func (r Review) fixLarge() string {
	if r.Compact == "" && !r.Foreign {
		return "set dns.publish.compact if such clients are served"
	}
	return r.smallerName()
}

// fewerAddresses is the advice to publish fewer of each relay at a name, none where each
// relay has one.
func (r Review) fewerAddresses(name string) []string {
	records, relays := 0, make(map[string]bool)
	for _, t := range read(name, r.Answers[name]).texts {
		if v := t.whole; v.kind == good && v.id != "" {
			records++
			relays[v.id] = true
		}
	}
	switch {
	case records == len(relays):
		return nil
	case r.Foreign:
		return []string{"publish fewer addresses of each relay"}
	}
	return []string{"publish fewer addresses of each relay (dns.publish.addresses)"}
}

// fixEmpty is for a name at which nothing is.
func (r Review) fixEmpty() string {
	if r.Foreign {
		return "see whether the name is right"
	}
	return "publish the relays: 'fleetctl dnsaddr sync'"
}

// tooLarge reports whether the answer at a name does not fit into what a client without
// EDNS receives by UDP.
func (r Review) tooLarge(name string) bool { return r.Answers[name].Size(name, false) > MaxUDP }

// fixCompact says what makes the compact name small enough again. The layout keeps it so
// (see [NewLayout]), but for relays whose only address is a longer one than the spec tells.
func (r Review) fixCompact() string {
	four, six := make(map[string]bool), make(map[string]bool)
	for _, t := range read(r.Compact, r.Answers[r.Compact]).texts {
		switch v := t.whole; {
		case strings.HasPrefix(v.addr, "/ip6/"):
			six[v.id] = true
		case v.kind == good:
			four[v.id] = true
		}
	}
	switch onlySix := lacks(six, four); {
	case onlySix && lacks(four, six):
		return "give each of its relays an IPv4 address, or set dns.publish.families to one family that all have"
	case onlySix:
		return "set dns.publish.families to [ip6], so that as few relays stand there as fit"
	}
	return "remove what is not the fleet's, and run 'fleetctl dnsaddr sync'"
}

// lacks reports whether something that is in one set is not in the other.
func lacks(one, other map[string]bool) bool {
	for id := range one {
		if !other[id] {
			return true
		}
	}
	return false
}
