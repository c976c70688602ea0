package dnsaddr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Grade says how bad a finding is.
type Grade string

// The grades.
const (
	Problem Grade = "problem" // some clients find nothing, or something wrong
	Warning Grade = "warning" // some clients find less, or will one day
	Note    Grade = "note"    // worth knowing
)

// Finding is something at a name that clients stumble over.
type Finding struct {
	Grade  Grade
	Check  string // which rule: "foreign", "malformed", …
	Name   string
	Detail string
	Fix    string // an imperative sentence, "" if there is nothing to do
}

// TTLs that resolvers keep and that let a move be seen within a day.
const (
	minSaneTTL = time.Minute
	maxSaneTTL = 24 * time.Hour
)

// Findings looks at every name for what clients stumble over: the names sorted, the entry
// name first. Text in a Finding comes from DNS: it is quoted, and not longer than a line.
func (r Review) Findings() []Finding {
	entry := strings.ToLower(r.Entry)
	out := lintDomain(entry)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Answers)), func(n string) bool { return n == entry })
	for _, name := range append([]string{entry}, names...) {
		l := &linting{review: r, name: name}
		l.answer(r.Answers[name])
		out = append(out, l.found...)
	}
	return out
}

// lintDomain looks at the name itself.
func lintDomain(entry string) []Finding {
	domain := strings.TrimPrefix(entry, label)
	l := &linting{name: entry}
	if err := CheckName(domain); err != nil {
		l.add(Problem, "name", err.Error(), "use a name of letters, digits and hyphens")
		return l.found
	}
	for part := range strings.SplitSeq(domain, ".") {
		switch {
		case strings.HasPrefix(part, "xn--"):
			l.add(Note, "punycode", fmt.Sprintf("%q is the form of a name in another script", part), "give clients this form: they do not convert the other one")
		case strings.Contains(part, "_"):
			l.add(Note, "underscore", fmt.Sprintf("%q is no label of a host name", part), "take a name without an underscore where WebSocket with TLS is served: no authority certifies this one")
		}
	}
	return l.found
}

// linting is one name being looked at.
type linting struct {
	review Review
	name   string
	found  []Finding
}

func (l *linting) add(g Grade, check, detail, fix string) {
	l.found = append(l.found, Finding{Grade: g, Check: check, Name: l.name, Detail: detail, Fix: fix})
}

func (l *linting) answer(a Answer) {
	if a.Alias != "" {
		l.add(Warning, "cname", "it is an alias of "+excerpt(a.Alias), "put the records at the name itself: nothing can stand beside an alias, and each client has one more name to resolve")
	}
	if len(a.Texts) == 0 {
		detail := "no TXT records"
		if a.NoName {
			detail = "no such name"
		}
		l.add(Problem, "empty", detail, l.review.fixEmpty())
		return
	}
	if a.TTL != 0 && (a.TTL < minSaneTTL || a.TTL > maxSaneTTL) {
		fix := "set dns.ttl to 300"
		if l.review.Foreign {
			fix = "set the TTL of the records to 300"
		}
		l.add(Warning, "ttl", fmt.Sprintf("the TTL is %d s, clients do well with 60 to 86400", int(a.TTL/time.Second)), fix)
	}
	s := read(l.name, a)
	seen := make(map[string]string) // by peer ID and protocols: the address
	for _, t := range s.texts {
		l.text(t, seen)
	}
	l.size(a)
	l.count(s)
}

// text looks at one record.
func (l *linting) text(t text, seen map[string]string) {
	whole := strings.Join(t.strs, "")
	if len(whole) > MaxString {
		l.add(Problem, "long", fmt.Sprintf("%s has %d bytes, one character-string holds %d", excerpt(whole), len(whole), MaxString), "publish a shorter address, such as one by IP address")
	} else if len(t.strs) > 1 {
		l.add(Problem, "strings", fmt.Sprintf("%s is in %d character-strings: rust-libp2p reads the first alone, js-libp2p each by itself", excerpt(whole), len(t.strs)), "write it as one string")
	}
	v := t.whole
	switch {
	case v.kind == foreign:
		l.foreign(whole, t)
	case v.kind == malformed:
		l.add(Problem, "malformed", excerpt(whole)+" is no multiaddr: js-libp2p and nim-libp2p find nothing at a name that has one", "remove it, or write it anew")
	case v.id == "" && v.pointer != "":
		l.add(Problem, "pointer", excerpt(whole)+" leads to another name without a peer ID: kubo refuses it, rust-libp2p looks at the last of such names only", "publish the addresses themselves")
	case v.id == "":
		l.add(Problem, "no-peer-id", excerpt(whole)+" does not end in /p2p/ID: kubo refuses it, and whoever dials it cannot tell who answers", "add /p2p/ and the relay's peer ID")
	case v.pointer == "":
		l.address(v, seen)
	}
}

// foreign looks at a text that is no dnsaddr record.
func (l *linting) foreign(whole string, t text) {
	detail := excerpt(whole) + " is no dnsaddr record"
	if near := strings.ToLower(strings.Trim(strings.TrimSpace(whole), `"'`)); strings.HasPrefix(near, prefix) {
		detail = excerpt(whole) + " begins almost with dnsaddr=, and so is skipped"
	}
	fix := "remove it: nothing but dnsaddr= belongs on a _dnsaddr name"
	if slices.ContainsFunc(t.each, func(v value) bool { return v.kind == malformed }) {
		l.add(Problem, "foreign", detail+": js-libp2p finds nothing here without a peer ID", fix)
		return
	}
	l.add(Warning, "foreign", detail, fix)
}

// address looks at a relay's address.
func (l *linting) address(v value, seen map[string]string) {
	a, err := ParseAddr(v.addr)
	if err != nil {
		l.add(Warning, "address", err.Error(), "publish what clients dial")
		return
	}
	if a.Private() {
		l.add(Problem, "private", a.String()+" is not reachable from the internet", "publish a public address")
	}
	key := v.id + " " + names(v.m)
	if before, ok := seen[key]; ok {
		if before == v.addr {
			l.add(Warning, "twice", v.addr+" stands here twice", "remove one of the two")
		} else {
			l.add(Warning, "peer-id", fmt.Sprintf("peer %s is at %s and at %s: two relays with one key, or an address that is left over", v.id, host(before), host(v.addr)), "give each relay a key of its own")
		}
	}
	seen[key] = v.addr
}

// host is what stands before the peer ID of an address.
func host(addr string) string {
	before, _, _ := strings.Cut(addr, "/p2p/")
	return before
}

// size looks at the length of the whole answer.
func (l *linting) size(a Answer) {
	size := a.Size(l.name, true)
	content := 0
	for _, t := range a.Texts {
		content += len(strings.Join(t, "")) + 2 // with its quotes
	}
	const openTCP = "tell clients that TCP/53 must be open"
	switch {
	case l.name == l.review.Compact && l.review.tooLarge(l.name):
		l.add(Problem, "compact", fmt.Sprintf("the answer at the compact name has %d bytes, more than %d: clients that read no more find nothing", a.Size(l.name, false), MaxUDP), l.review.fixCompact())
	case size > maxMessage:
		l.add(Problem, "size", fmt.Sprintf("the answer has %d bytes, more than any answer holds", size), "spread the relays over lists")
	case size > 4096:
		l.add(Warning, "size", fmt.Sprintf("the answer has %d bytes: it comes by TCP/53 alone, whatever a client asks for", size), openTCP)
	case size > MaxEDNS:
		ways := append([]string{openTCP}, l.review.fewerAddresses(l.name)...)
		l.add(Warning, "size", fmt.Sprintf("the answer has %d bytes, more than %d: it needs TCP/53", size, MaxEDNS), strings.Join(ways, ", or "))
	case l.review.tooLarge(l.name):
		l.add(Note, "size", fmt.Sprintf("the answer has %d bytes, more than %d: js-libp2p and old rust-libp2p need TCP/53, nim-libp2p finds nothing", size, MaxUDP), l.review.fixLarge())
	}
	if content > MaxContent {
		l.add(Warning, "content", fmt.Sprintf("the records have %d characters, Cloudflare takes %d for one name", content, MaxContent), "spread the relays over lists")
	}
}

// count looks at how many addresses clients have to choose from.
func (l *linting) count(s served) {
	n := 0
	for _, t := range s.texts {
		if t.whole.kind == good {
			n++
		}
	}
	if n <= rustTexts {
		return
	}
	dials := JSLibp2p.habits().dials
	detail := fmt.Sprintf("%d addresses: rust-libp2p looks at %d of them", n, rustTexts)
	grade, fix := Note, "give such clients the peer ID of a relay: by /p2p/ID they find any of these"
	if n > dials {
		detail += fmt.Sprintf(", js-libp2p dials %d", dials)
	}
	if n > goAddrs {
		detail += fmt.Sprintf(", go-libp2p takes %d, and finds no other even by its peer ID", goAddrs)
		grade, fix = Problem, fmt.Sprintf("spread the relays over lists of at most %d", ListRelays)
	}
	l.add(grade, "count", detail, fix)
}
