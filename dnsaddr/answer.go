package dnsaddr

import (
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Answer is what a name server holds at one name.
type Answer struct {
	// Texts are the TXT records in the order of the answer, each as its character-strings.
	Texts [][]string
	// TTL is the shortest of the records, 0 if it is not known.
	TTL time.Duration
	// Alias is where a CNAME at the name leads, "" without one. Texts are those at its end.
	Alias string
	// NoName is set if the server said that the name does not exist. A name without it may
	// hold nothing all the same.
	NoName bool
}

// Answers are what name servers hold, by name: in lower case, without the final dot.
type Answers map[string]Answer

// AnswersOf is what a zone that holds these records answers with.
func AnswersOf(records []Record) Answers {
	out := make(Answers)
	for _, r := range records {
		name := strings.ToLower(r.Name)
		a := out[name]
		a.Texts = append(a.Texts, []string{r.Value})
		if a.TTL == 0 || r.TTL < a.TTL {
			a.TTL = r.TTL
		}
		out[name] = a
	}
	return out
}

// Size is how many bytes the answer to a TXT query for name has, with an EDNS option
// record or without.
func (a Answer) Size(name string, edns bool) int {
	size := WireSize(name, nil)
	if !edns {
		size -= optRecord
	}
	for _, t := range a.Texts {
		size += textSize(t)
	}
	return size
}

// The sizes in an answer of an EDNS option record, and of what stands around a record's text.
const (
	optRecord   = 11
	recordFrame = 2 + 10 // pointer to the name; type, class, TTL, length
)

func textSize(strs []string) int {
	size := recordFrame
	for _, s := range strs {
		size += 1 + len(s)
	}
	return size
}

// served is an answer that was read once for all clients.
type served struct {
	name   string
	answer Answer
	texts  []text
}

// text is one TXT record as clients read it.
type text struct {
	strs   []string
	whole  value   // of all strings, joined
	first  value   // of the first string alone
	each   []value // of each string as js-libp2p takes it: whatever follows the first "="
	length int     // bytes on the wire
}

// value is the multiaddr in a text.
type value struct {
	kind    kind
	m       ma.Multiaddr
	addr    string // m in its canonical form
	id      string // the peer ID at its end, "" without one
	pointer string // the domain that a leading /dnsaddr names, "" without one
}

// kind says what became of a text.
type kind int

const (
	foreign   kind = iota // it is no dnsaddr record
	malformed             // it claims to be one and is no multiaddr
	good
)

func read(name string, a Answer) served {
	out := served{name: name, answer: a, texts: make([]text, 0, len(a.Texts))}
	for _, strs := range a.Texts {
		t := text{strs: strs, length: textSize(strs), whole: readText(strings.Join(strs, ""))}
		t.first = t.whole
		if len(strs) > 1 {
			t.first = readText(strs[0])
		}
		for _, s := range strs {
			t.each = append(t.each, readLoosely(s, t.whole))
		}
		out.texts = append(out.texts, t)
	}
	return out
}

func readText(s string) value {
	addr, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return value{kind: foreign}
	}
	return readValue(addr)
}

// readLoosely reads what js-libp2p takes for an address. whole is what the record says.
func readLoosely(s string, whole value) value {
	if prefix+whole.addr == s {
		return whole
	}
	clean := strings.TrimSpace(strings.NewReplacer(`"`, "", `'`, "").Replace(s))
	_, rest, ok := strings.Cut(clean, "=")
	if !ok {
		return value{kind: foreign}
	}
	rest, _, _ = strings.Cut(rest, "=")
	v := readValue(rest)
	v.addr = rest // what a peer ID is looked for in
	return v
}

// maxValue is the longest text, in bytes, that is read as an address.
const maxValue = 4096

func readValue(addr string) value {
	if len(addr) > maxValue {
		return value{kind: malformed}
	}
	m, err := ma.NewMultiaddr(addr)
	if err != nil || len(m) == 0 {
		return value{kind: malformed}
	}
	v := value{kind: good, m: m, addr: m.String()}
	if last := m[len(m)-1]; last.Code() == ma.P_P2P {
		v.id = last.Value()
	}
	if m[0].Code() == ma.P_DNSADDR {
		v.pointer = m[0].Value()
	}
	return v
}
