package dnsaddr

import (
	"fmt"
	"slices"
	"strings"
)

// Family is a kind of client in the field. What each does is in docs/dns.md.
type Family string

// The families.
const (
	GoLibp2p   Family = "go-libp2p"   // v0.51: the swarm resolves
	Kubo       Family = "kubo"        // resolves before it hands over to the swarm
	JSLibp2p   Family = "js-libp2p"   // 3.3 in Node, whose resolver does not use EDNS
	RustOld    Family = "rust-0.56"   // rust-libp2p 0.54-0.56: its resolver does not use EDNS
	RustLibp2p Family = "rust-libp2p" // with hickory 0.26
	NimLibp2p  Family = "nim-libp2p"  // by UDP alone, without EDNS
	TXTReader  Family = "txt-reader"  // a program in Node that reads the TXT records of one name
)

// Families lists all of them, in the order in which they are shown.
func Families() []Family {
	return []Family{GoLibp2p, Kubo, JSLibp2p, RustLibp2p, RustOld, NimLibp2p, TXTReader}
}

// habits are what sets the families apart.
type habits struct {
	edns  bool // answers of MaxEDNS bytes arrive by UDP
	tcp   bool // an answer that was cut off is asked for again by TCP
	udp   bool // it dials QUIC
	dials int  // addresses tried in one dial, 0: all
	depth int  // names behind one another, the first included; 0: it follows no pointer
}

func (f Family) habits() habits {
	switch f {
	case GoLibp2p, Kubo:
		return habits{edns: true, tcp: true, udp: true, dials: goAddrs, depth: 4}
	case JSLibp2p:
		return habits{tcp: true, dials: 25, depth: 33}
	case RustLibp2p:
		return habits{edns: true, tcp: true, udp: true, dials: 16, depth: 32}
	case RustOld:
		return habits{tcp: true, udp: true, dials: 16, depth: 32}
	case NimLibp2p:
		return habits{depth: 7}
	case TXTReader:
		return habits{tcp: true, udp: true}
	}
	return habits{}
}

// LargeAnswers reports whether the family can receive an answer of more than [MaxUDP]
// bytes by UDP, with EDNS, or by TCP.
func (f Family) LargeAnswers() bool { h := f.habits(); return h.edns || h.tcp }

// EDNS reports whether the family receives answers of [MaxEDNS] bytes by UDP.
func (f Family) EDNS() bool { return f.habits().edns }

// Network is what lies between a client and its name server.
type Network struct {
	UDP   int  // the largest answer that arrives by UDP, in bytes; 0 means MaxEDNS
	NoTCP bool // TCP/53 is blocked
}

// String is "udp 1232" or "udp 1232, no tcp".
func (n Network) String() string {
	s := fmt.Sprintf("udp %d", n.udp())
	if n.NoTCP {
		s += ", no tcp"
	}
	return s
}

func (n Network) udp() int {
	if n.UDP == 0 {
		return MaxEDNS
	}
	return n.UDP
}

// Networks are the ones that clients are judged in.
func Networks() []Network {
	return []Network{{UDP: MaxEDNS}, {UDP: MaxUDP}, {UDP: MaxEDNS, NoTCP: true}, {UDP: MaxUDP, NoTCP: true}}
}

// Reason says why a record, or all of them, are of no use to a client.
type Reason string

// The reasons.
const (
	LostTruncated Reason = "truncated"    // the answer does not fit, and TCP is not to be had
	LostTooLarge  Reason = "64 KiB"       // beyond what any answer holds
	LostLimit     Reason = "limit"        // beyond what the client looks at
	LostForeign   Reason = "foreign"      // text that is not dnsaddr=, on which the client gives up
	LostMalformed Reason = "malformed"    // no multiaddr
	LostStrings   Reason = "strings"      // more than one character-string
	LostNoID      Reason = "no peer id"   // the value does not end in /p2p/ID
	LostPointer   Reason = "pointer"      // it leads to another name, where the client does not follow
	LostTransport Reason = "transport"    // the client does not dial it
	LostMissing   Reason = "no such name" // nothing stands at the name
)

// Loss is a number of records that a client does not use, for one reason.
type Loss struct {
	Name   string // where they stand
	Reason Reason
	Count  int
}

// Resolution is what a client makes of a name.
type Resolution struct {
	// Addrs are the addresses that it dials, in its order, if none of them answers.
	Addrs []string
	// Relays are the peer IDs in Addrs, each once.
	Relays []string
	Losses []Loss
	// Failed says why the client gives up as a whole, "" if it does not.
	Failed  Reason
	Queries int // by UDP and by TCP
	Bytes   int // of all answers
}

// Clients tells what each family makes of the same answers. It is made by [NewClients],
// does not change, and is safe for concurrent use.
type Clients struct{ at map[string]served }

// NewClients reads the answers once for all families.
func NewClients(answers Answers) *Clients {
	c := &Clients{at: make(map[string]served, len(answers))}
	for name, a := range answers {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		c.at[name] = read(name, a)
	}
	return c
}

// Resolve is what a client of the family makes of /dnsaddr/<domain>, or with a peer ID of
// /dnsaddr/<domain>/p2p/<id>.
func (c *Clients) Resolve(f Family, n Network, domain, id string) Resolution {
	a := &asking{clients: c, domain: domain, family: f, habits: f.habits(), network: n}
	switch f {
	case GoLibp2p, Kubo:
		a.likeGo(domain, id)
	case JSLibp2p:
		a.likeJS(domain, id)
	case RustLibp2p, RustOld:
		a.likeRust(domain, id)
	case NimLibp2p:
		a.likeNim(domain, id)
	case TXTReader:
		a.likeTXT(domain, id)
	}
	return a.result()
}

// asking is one resolution under way.
type asking struct {
	clients  *Clients
	domain   string
	family   Family
	habits   habits
	network  Network
	out      Resolution
	dialed   []value
	unspoken []value // it does not dial such addresses
}

// ask is one TXT query: the records that arrive, and why none do.
func (a *asking) ask(domain string) (s served, failed Reason) {
	name := nameOf(domain)
	s, ok := a.clients.at[name]
	if a.out.Queries >= maxQueries {
		return s, LostLimit
	}
	limit := MaxUDP
	if a.habits.edns {
		limit = min(MaxEDNS, a.network.udp())
	}
	a.out.Queries++
	size := s.answer.Size(name, a.habits.edns)
	if !ok || len(s.texts) == 0 {
		a.out.Bytes += size
		return s, LostMissing
	}
	if size <= limit {
		a.out.Bytes += size
		return s, ""
	}
	_, cut := s.within(name, limit, a.habits.edns)
	a.out.Bytes += cut
	if !a.habits.tcp || a.network.NoTCP {
		if a.habits.tcp {
			a.out.Queries++
		}
		a.lose(name, LostTruncated, len(s.texts))
		return s, LostTruncated
	}
	a.out.Queries++
	kept, size := s.within(name, maxMessage, a.habits.edns)
	a.out.Bytes += size
	a.lose(name, LostTooLarge, len(s.texts)-kept)
	s.texts = s.texts[:kept]
	return s, ""
}

// nameOf the records of a domain, as [Answers] have it.
func nameOf(domain string) string { return strings.ToLower(Name(strings.TrimSuffix(domain, "."))) }

// maxQueries bounds a resolution of names that lead to one another in circles. Clients
// have a deadline in its place.
const maxQueries = 500

// maxMessage is the largest answer by TCP, in bytes.
const maxMessage = 1<<16 - 1

// within is how many records fit into an answer of limit bytes, and its size then.
func (s served) within(name string, limit int, edns bool) (kept, size int) {
	size = Answer{}.Size(name, edns)
	for _, t := range s.texts {
		if size+t.length > limit {
			break
		}
		size += t.length
		kept++
	}
	return kept, size
}

// lose notes records that are of no use.
func (a *asking) lose(name string, why Reason, count int) {
	if count <= 0 {
		return
	}
	for i := range a.out.Losses {
		if l := &a.out.Losses[i]; l.Name == name && l.Reason == why {
			l.Count += count
			return
		}
	}
	a.out.Losses = append(a.out.Losses, Loss{Name: name, Reason: why, Count: count})
}

// result is the resolution, with what was dialed.
func (a *asking) result() Resolution {
	seen := make(map[string]bool, len(a.dialed))
	for _, v := range a.dialed {
		a.out.Addrs = append(a.out.Addrs, v.addr)
		if v.id != "" && !seen[v.id] {
			seen[v.id] = true
			a.out.Relays = append(a.out.Relays, v.id)
		}
	}
	for _, v := range a.unspoken {
		if !seen[v.id] { // of a relay that is tried elsewhere nothing is lost
			a.lose(nameOf(a.domain), LostTransport, 1)
		}
	}
	slices.SortStableFunc(a.out.Losses, func(x, y Loss) int { return strings.Compare(x.Name, y.Name) })
	return a.out
}
