package dnsaddr

import (
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
	// EntryRelays stand at the entry name of a larger fleet: their records fit into one
	// answer of [MaxEDNS] bytes.
	EntryRelays = 10
	// ListRelays is the largest number of relays at the name of one list.
	ListRelays = 40
	// CompactRelays stand at the compact name: their records fit into [MaxUDP] bytes.
	CompactRelays = 4
	// MaxContent is how much text, in bytes, one name can hold.
	MaxContent = 8192
)

// Node is one relay's place in a fleet, as the spec has it: it outlives machine and peer ID.
type Node struct {
	Name   string // "nyc1-1"
	Region string // "nyc1"
	Number int    // in its region, from 1
}

// Layout says at which names each node of a fleet is published. It depends on the spec
// alone, so that a relay that is replaced, or does not answer, moves no record. It is
// made by [NewLayout] and does not change; the zero value is the layout of no node.
type Layout struct {
	entry string
	at    map[string][]string // names by node, the entry name first
	size  map[string]int      // relays by name
}

// NewLayout places nodes. Up to [MaxFlat] of them all stand at the entry name,
// _dnsaddr.<domain>. Of more, [EntryRelays] do, spread over the regions by a stable hash
// of their names, and every node stands in a list of its region as well:
// _dnsaddr.<region>.<domain>, and from the 41st node of a region on
// _dnsaddr.<region>-2.<domain> and so on. A list of [ListRelays] nodes is full for ever,
// so that no node moves to another when the fleet grows. A compact label that is not ""
// makes one more name, _dnsaddr.<compact>.<domain>, of at most [CompactRelays] nodes.
func NewLayout(domain string, nodes []Node, compact string) Layout {
	l := Layout{entry: strings.ToLower(Name(domain)), at: make(map[string][]string, len(nodes)), size: make(map[string]int)}
	ranked := spread(nodes)
	if len(nodes) <= MaxFlat {
		l.place(l.entry, ranked)
	} else {
		l.place(l.entry, ranked[:EntryRelays])
		for _, n := range nodes {
			l.place(listName(domain, n), []Node{n})
		}
	}
	if compact != "" {
		l.place(strings.ToLower(Name(compact+"."+domain)), ranked[:min(CompactRelays, len(ranked))])
	}
	return l
}

func (l Layout) place(name string, nodes []Node) {
	for _, n := range nodes {
		l.at[n.Name] = append(l.at[n.Name], name)
		l.size[name]++
	}
}

// listName is the name of the list that a node is in.
func listName(domain string, n Node) string {
	list := n.Region
	if block := (n.Number - 1) / ListRelays; block > 0 {
		list += "-" + strconv.Itoa(block+1)
	}
	return strings.ToLower(Name(list + "." + domain))
}

// spread orders nodes so that any first few of them are in as many regions as there are,
// and so that one node more or less moves few others.
func spread(nodes []Node) []Node {
	regions := make(map[string][]Node)
	hashes := make(map[string][sha256.Size]byte, len(nodes))
	for _, n := range nodes {
		regions[n.Region] = append(regions[n.Region], n)
		hashes[n.Name] = hash(n.Name)
	}
	for region := range regions {
		hashes[region] = hash(region)
	}
	byHash := func(a, b string) int {
		x, y := hashes[a], hashes[b]
		return cmp.Or(slices.Compare(x[:], y[:]), cmp.Compare(a, b))
	}
	names := slices.SortedFunc(maps.Keys(regions), byHash)
	most := 0
	for _, members := range regions {
		slices.SortFunc(members, func(a, b Node) int { return byHash(a.Name, b.Name) })
		most = max(most, len(members))
	}
	out := make([]Node, 0, len(nodes))
	for turn := range most {
		for _, region := range names {
			if members := regions[region]; turn < len(members) {
				out = append(out, members[turn])
			}
		}
	}
	return out
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

// At lists the names at which a node is published, the entry name first if it is one of
// them; nil for a node that the layout does not have.
func (l Layout) At(node string) []string { return slices.Clone(l.at[node]) }

// Relays is how many nodes stand at a name.
func (l Layout) Relays(name string) int { return l.size[strings.ToLower(name)] }

// Addresses is how many addresses of each relay fit at a name: as many as the answer
// holds in [MaxUDP] bytes if one of each does, else in [MaxEDNS], and never less than one.
// Which ones is the order in which a relay's addresses are given.
func (l Layout) Addresses(name string) int {
	relays := l.Relays(name)
	if relays == 0 {
		return 0
	}
	for _, budget := range []int{MaxUDP, MaxEDNS} {
		room := (budget - WireSize(name, nil)) / relays
		if room >= firstRecord {
			return 1 + (room-firstRecord)/nextRecord
		}
	}
	return 1
}

// The sizes in an answer of a relay's first record, by TCP, and of a further one, by QUIC,
// both at the longest IPv4 address with an Ed25519 peer ID.
const (
	firstRecord = 12 + 1 + len("dnsaddr=/ip4/255.255.255.255/tcp/65535/p2p/") + 52
	nextRecord  = 12 + 1 + len("dnsaddr=/ip4/255.255.255.255/udp/65535/quic-v1/p2p/") + 52
)
