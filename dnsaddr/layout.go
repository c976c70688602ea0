package dnsaddr

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sizes that decide the layout of a fleet's records. Their sources are in docs/dns.md.
const (
	// MaxFlat is the largest number of relays that all stand at the entry name: some
	// clients look at 16 records of a name.
	MaxFlat = 16
	// EntryRelays stand at the entry name of a larger fleet, or as many fewer as one
	// answer of [MaxEDNS] bytes holds: longer names and addresses leave room for fewer.
	EntryRelays = 10
	// ListRelays is the largest number of relays at the name of one list.
	ListRelays = 40
	// CompactRelays stand at the compact name, or as many fewer as [MaxUDP] bytes hold.
	CompactRelays = 4
	// MaxContent is how much text, in bytes, one name can hold.
	MaxContent = 8192
)

// Node is one relay's place in a fleet, as the spec has it: it outlives machine and peer ID.
type Node struct {
	Name   string // "nyc1-1"
	Region string // "nyc1"
	Number int    // in its region, from 1
	// ValueBytes is the length of the longest value that its relay is published with
	// before any other; 0 stands for that of an IPv4 address by TCP.
	ValueBytes int
}

// firstRecord is how many bytes of an answer the first record of n's relay takes.
func (n Node) firstRecord() int {
	if n.ValueBytes == 0 {
		return firstRecord
	}
	return recordFrame + 1 + n.ValueBytes
}

// Layout says at which names each node of a fleet is published. It depends on the spec
// alone, so that a relay that is replaced, or does not answer, moves no record. It is
// made by [NewLayout] and does not change; the zero value is the layout of no node.
type Layout struct {
	entry   string
	compact string              // "" without one
	at      map[string][]string // names by node, the entry name first
	size    map[string]int      // relays by name
	first   map[string]int      // by name: the longest first record of a relay, in bytes of an answer
}

// NewLayout places nodes. Up to [MaxFlat] of them all stand at the entry name,
// _dnsaddr.<domain>. Of more, up to [EntryRelays] do, spread over the regions by a stable
// hash of their names, and every node stands in a list of its region as well:
// _dnsaddr.<region>.<domain>, and from the 41st node of a region on
// _dnsaddr.<region>-2.<domain> and so on. A list of [ListRelays] nodes is full for ever,
// so that no node moves to another when the fleet grows. A compact label that is not ""
// makes one more name, _dnsaddr.<compact>.<domain>, of up to [CompactRelays] nodes.
func NewLayout(domain string, nodes []Node, compact string) Layout {
	l := Layout{
		entry: strings.ToLower(Name(domain)),
		at:    make(map[string][]string, len(nodes)), size: make(map[string]int), first: make(map[string]int),
	}
	first := spread(nodes)
	if len(nodes) <= MaxFlat {
		l.place(l.entry, first...)
	} else {
		l.place(l.entry, fitting(first, EntryRelays, MaxEDNS-WireSize(l.entry, nil))...)
		lists := make(map[list]string)
		for _, n := range nodes {
			in := listOf(n)
			if lists[in] == "" {
				lists[in] = in.name(domain)
			}
			l.place(lists[in], n)
		}
	}
	if compact != "" {
		l.compact = strings.ToLower(Name(compact + "." + domain))
		l.place(l.compact, fitting(first, CompactRelays, MaxUDP-Answer{}.Size(l.compact, false))...)
	}
	return l
}

// fitting are the first of the nodes, at most so many, whose first records take no more
// than room, in bytes: one at least, for which there is room at any name.
func fitting(nodes []Node, most, room int) []Node {
	for i, n := range nodes {
		if room -= n.firstRecord(); i == most || i > 0 && room < 0 {
			return nodes[:i]
		}
	}
	return nodes
}

func (l Layout) place(name string, nodes ...Node) {
	for _, n := range nodes {
		l.at[n.Name] = append(l.at[n.Name], name)
		l.first[name] = max(l.first[name], n.firstRecord())
	}
	l.size[name] += len(nodes)
}

// list is one list of a region: block 0 has its first [ListRelays] nodes.
type list struct {
	region string
	block  int
}

// listOf is the list that a node is in.
func listOf(n Node) list { return list{n.Region, (n.Number - 1) / ListRelays} }

func (l list) name(domain string) string {
	text := l.region
	if l.block > 0 {
		text += "-" + strconv.Itoa(l.block+1)
	}
	return strings.ToLower(Name(text + "." + domain))
}

// spread orders nodes so that any first few of them are in as many regions as there are,
// and so that one node more or less moves few others.
func spread(nodes []Node) []Node {
	regions := make(map[string][]ranked)
	for i, n := range nodes {
		regions[n.Region] = append(regions[n.Region], rank(n.Name, i))
	}
	order := make([]ranked, 0, len(regions))
	for region := range regions {
		order = append(order, rank(region, 0))
	}
	slices.SortFunc(order, ranked.compare)
	most := 0
	for _, members := range regions {
		slices.SortFunc(members, ranked.compare)
		most = max(most, len(members))
	}
	out := make([]Node, 0, len(nodes))
	for turn := range most {
		for _, region := range order {
			if members := regions[region.name]; turn < len(members) {
				out = append(out, nodes[members[turn].index])
			}
		}
	}
	return out
}

// ranked is a node or a region by its hash.
type ranked struct {
	hash  [sha256.Size]byte
	name  string
	index int // of a node in its list
}

func rank(name string, index int) ranked { return ranked{hash(name), name, index} }

func (r ranked) compare(other ranked) int {
	return cmp.Or(bytes.Compare(r.hash[:], other.hash[:]), strings.Compare(r.name, other.name))
}

// hash orders nodes and regions. No release may change it: records would move.
func hash(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// Entry is the name that clients are given: _dnsaddr.<domain>, in lower case.
func (l Layout) Entry() string { return l.entry }

// Names lists every name of the layout, the entry name first and then sorted.
func (l Layout) Names() []string {
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(l.size)), func(name string) bool { return name == l.entry })
	return append([]string{l.entry}, rest...)
}

// Compact is the name for clients that read [MaxUDP] bytes and no more, in lower case, ""
// without one.
func (l Layout) Compact() string { return l.compact }

// At lists the names at which a node is published, the entry name first if it is one of
// them; nil for a node that the layout does not have.
func (l Layout) At(node string) []string { return slices.Clone(l.at[node]) }

// Has reports whether a node is published at a name of the layout.
func (l Layout) Has(node, name string) bool { return slices.Contains(l.at[node], name) }

// Relays is how many nodes stand at a name.
func (l Layout) Relays(name string) int { return l.size[strings.ToLower(name)] }

// Addresses is how many addresses of each relay fit at a name: as many as the answer
// holds in [MaxUDP] bytes if one of each does, else in [MaxEDNS], and never less than one.
// At the compact name it is [MaxUDP] in any case. Which ones is the order in which a
// relay's addresses are given.
func (l Layout) Addresses(name string) int {
	name = strings.ToLower(name)
	relays, first := l.size[name], l.first[name]
	if relays == 0 {
		return 0
	}
	for _, budget := range []int{MaxUDP, MaxEDNS} {
		room := (budget - WireSize(name, nil)) / relays
		if room >= first {
			return 1 + (room-first)/nextRecord
		}
		if name == l.compact {
			break
		}
	}
	return 1
}

// The sizes in an answer of a relay's first record, by TCP, and of a further one, by QUIC,
// both at the longest IPv4 address with an Ed25519 peer ID.
const (
	firstRecord = recordFrame + 1 + len("dnsaddr=/ip4/255.255.255.255/tcp/65535/p2p/") + 52
	nextRecord  = recordFrame + 1 + len("dnsaddr=/ip4/255.255.255.255/udp/65535/quic-v1/p2p/") + 52
)
