package fleet

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// The kinds of zones.
const (
	ZoneLocal      = "local"
	ZoneCloudflare = "cloudflare"
	ZoneRFC2136    = "rfc2136"
)

// zoneKind is a kind of DNS host and what it accepts as time to live.
type zoneKind struct {
	name           string
	minTTL, maxTTL time.Duration
	automatic      time.Duration // what its name servers say where its API says 1 second; 0 is that
}

func zoneKinds() []zoneKind {
	const day = 24 * time.Hour
	return []zoneKind{
		{name: ZoneLocal, minTTL: time.Second, maxTTL: day},
		{name: ZoneCloudflare, minTTL: time.Minute, maxTTL: day, automatic: 5 * time.Minute},
		{name: ZoneRFC2136, minTTL: time.Minute, maxTTL: day},
	}
}

// zoneOf is the kind with that name. For an unknown one, which is refused by its name,
// it is the default.
func zoneOf(name string) zoneKind {
	kinds := zoneKinds()
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return kinds[0]
}

// Zones lists what `dns.zone` accepts, the default first.
func Zones() []string {
	names := []string{}
	for _, k := range zoneKinds() {
		names = append(names, k.name)
	}
	return names
}

// The transports that a relay can be published with, by their names in the spec.
const (
	TransportTCP  = "tcp"
	TransportQUIC = "quic"
	TransportWS   = "ws"
)

// Transports lists what `dns.publish.transports` accepts, what is published first first:
// every client dials TCP.
func Transports() []string { return []string{TransportTCP, TransportQUIC, TransportWS} }

// The address families, by their names in the spec.
const (
	FamilyIP4 = "ip4"
	FamilyIP6 = "ip6"
)

// Families lists what `dns.publish.families` accepts, what is published first first.
func Families() []string { return []string{FamilyIP4, FamilyIP6} }

// What may be published in a zone that is not local.
const (
	ScopePublic = "public"
	ScopeAny    = "any"
)

// Scopes lists what `dns.publish.scope` accepts, the default first.
func Scopes() []string { return []string{ScopePublic, ScopeAny} }

// tsigAlgorithms lists what signs an update, the default first.
func tsigAlgorithms() []string { return []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"} }

var (
	domainForm   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	zoneForm     = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$`)
	zoneIDForm   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	keyNameForm  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?\.?$`)
	serverForm   = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]+:[0-9]{1,5}$`)
	resolverForm = regexp.MustCompile(`^((udp|tcp|tls|https)://)?[A-Za-z0-9._:/\[\]-]+$`)
)

func dnsKeys(d *DNSSpec) group {
	zone := zoneOf(d.Zone)
	only := func(kind string) (func() bool, string) {
		return func() bool { return d.Zone == kind }, fmt.Sprintf("only zone %q reads it", kind)
	}
	atCloudflare, notCloudflare := only(ZoneCloudflare)
	byUpdate, notByUpdate := only(ZoneRFC2136)
	return group{
		{name: "zone", doc: "Which DNS host holds the records.",
			value: text{to: &d.Zone, among: Zones(), want: oneOf(Zones())}},
		{name: "domain", required: true, doc: "The records stand at _dnsaddr.<domain>; clients are given /dnsaddr/<domain>.",
			value: text{to: &d.Domain, pattern: domainForm, most: 244, want: "a domain name of two labels or more, in lower case, without underscores (_dnsaddr. is put before it) and without a final dot; a name of another script in its xn-- form"}},
		{name: "ttl", doc: "Time to live of the records, in seconds; zone local accepts from 1, the others from 60.",
			value: seconds{to: &d.TTL, least: zone.minTTL, top: zone.maxTTL, who: fmt.Sprintf("zone %q", zone.name)}},
		{name: "min_relays", derived: true, doc: "Verified relays below which nothing may be withdrawn; by default 2, or 1 for a fleet of one.",
			value: whole[int]{to: &d.MinRelays, least: 1, top: MaxNodes, what: "a number"}},
		{name: "keep", hidden: true, doc: "Addresses of others that are published at the same name. They are never touched.",
			value: list[string]{to: &d.Keep, least: 0, most: 100, want: "a list of at most 100 addresses", of: keptAddr}},
		{name: "publish", hidden: true, doc: "Which addresses of a relay are published.", value: publishKeys(&d.Publish)},
		{name: "resolvers", hidden: true, doc: "Resolvers that verify and watch ask; public ones by default.",
			value: list[string]{to: &d.Resolvers, least: 0, most: 20, want: "a list of at most 20 resolvers", of: resolver}},
		{name: "cloudflare", hidden: true, doc: "The zone at Cloudflare.",
			value: section{group: cloudflareKeys(&d.Cloudflare), used: atCloudflare, why: notCloudflare}},
		{name: "rfc2136", hidden: true, doc: "The server that takes dynamic updates.",
			value: section{group: rfc2136Keys(&d.RFC2136), used: byUpdate, why: notByUpdate}},
	}
}

func keptAddr(s *string) shape {
	return text{to: s, most: 1024, want: "a multiaddr that ends in /p2p/ and a peer ID"}
}

func resolver(s *string) shape {
	return text{to: s, pattern: resolverForm, most: 253, want: "an address such as 192.0.2.1, 192.0.2.1:5353, tls://dns.example or https://dns.example/dns-query"}
}

func publishKeys(p *PublishSpec) group {
	among := func(words []string) func(*string) shape {
		return func(s *string) shape { return text{to: s, among: words, want: oneOf(words)} }
	}
	return group{
		{name: "addresses", hidden: true, doc: "Addresses of each relay at one name; by default as many as the answer has room for.",
			value: whole[int]{to: &p.Addresses, least: 0, top: 6, what: "a number"}},
		{name: "transports", hidden: true, doc: "Transports that are published where they are served; all by default.",
			value: list[string]{to: &p.Transports, least: 0, most: len(Transports()), want: "a list of tcp, quic and ws", of: among(Transports())}},
		{name: "families", hidden: true, doc: "Families of the addresses that are published; both by default.",
			value: list[string]{to: &p.Families, least: 0, most: len(Families()), want: "a list of ip4 and ip6", of: among(Families())}},
		{name: "scope", hidden: true, doc: "Addresses that may enter a zone other than local: public ones, or any, for a zone that a private network reads.",
			value: text{to: &p.Scope, among: Scopes(), want: oneOf(Scopes())}},
		{name: "compact", hidden: true, doc: "Label of one more name, _dnsaddr.<label>.<domain>, that holds few relays, for clients that read 512 bytes and no more.",
			value: text{to: &p.Compact, pattern: nameForm, most: 32, want: "1 to 32 of a-z, 0-9 and -, no - at either end"}},
	}
}

func cloudflareKeys(c *CloudflareSpec) group {
	return group{
		{name: "zone_id", hidden: true, doc: "ID of the zone; by default CLOUDFLARE_ZONE_ID, else the zone is looked up by name.",
			value: text{to: &c.ZoneID, pattern: zoneIDForm, most: 32, want: "32 of 0-9 and a-f, from the zone's page"}},
		{name: "token", hidden: true, doc: "Where the API token is; by default in CLOUDFLARE_API_TOKEN.", value: section{
			group: secretKeys(&c.Token), used: func() bool { return !c.Token.IsZero() }, why: "want one of env, file and command"}},
	}
}

func rfc2136Keys(r *RFC2136Spec) group {
	return group{
		{name: "server", required: true, doc: "Primary server of the zone, host:port.",
			value: text{to: &r.Server, pattern: serverForm, most: 259, want: "host:port"}},
		{name: "zone", required: true, doc: "Zone that holds the domain.",
			value: text{to: &r.Zone, pattern: zoneForm, most: 253, want: "a domain name in lower case, without a final dot"}},
		{name: "key_name", required: true, doc: "Name of the TSIG key that signs the updates.",
			value: text{to: &r.KeyName, pattern: keyNameForm, most: 254, want: "the name of a key, as the server's configuration has it"}},
		{name: "key_algorithm", doc: "Algorithm of the TSIG key.", derived: true,
			value: text{to: &r.KeyAlgorithm, among: tsigAlgorithms(), want: oneOf(tsigAlgorithms())}},
		{name: "key", hidden: true, doc: "Where the TSIG key is, in base64; by default in RFC2136_TSIG_SECRET.", value: section{
			group: secretKeys(&r.Key), used: func() bool { return !r.Key.IsZero() }, why: "want one of env, file and command"}},
	}
}

// dns checks what depends on several values.
func (c *checker) dns(s *Spec) {
	if n := countNodes(s.Nodes); n > 0 && s.DNS.MinRelays > n {
		c.add("dns.min_relays", strconv.Itoa(s.DNS.MinRelays), fmt.Sprintf("want a number from 1 to %d, the nodes of the fleet", n))
	}
	c.keep(s.DNS)
	c.publish(s)
	if s.DNS.Zone == ZoneCloudflare {
		c.oneSource("dns.cloudflare.token", s.DNS.Cloudflare.Token)
	}
	if s.DNS.Zone == ZoneRFC2136 {
		if c.absent("dns.rfc2136") {
			c.missing("dns.rfc2136")
		}
		c.oneSource("dns.rfc2136.key", s.DNS.RFC2136.Key)
		if r := s.DNS.RFC2136; r.Zone != "" && s.DNS.Domain != r.Zone && !strings.HasSuffix(s.DNS.Domain, "."+r.Zone) {
			c.add("dns.domain", quote(s.DNS.Domain), fmt.Sprintf("want a name in the zone %q (dns.rfc2136.zone)", r.Zone))
		}
		if _, port, err := net.SplitHostPort(s.DNS.RFC2136.Server); s.DNS.RFC2136.Server != "" && (err != nil || !isPort(port)) {
			c.add("dns.rfc2136.server", quote(s.DNS.RFC2136.Server), "want host:port")
		}
	}
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n < 1<<16
}

// keep checks the addresses of others.
func (c *checker) keep(d DNSSpec) {
	first := make(map[dnsaddr.Addr]int)
	for i, kept := range d.Keep {
		path := fmt.Sprintf("dns.keep[%d]", i)
		addr, err := dnsaddr.ParseAddr(kept)
		if err != nil {
			c.add(path, quote(kept), fmt.Sprintf("want a multiaddr that ends in /p2p/ and a peer ID: %s", plain(err.Error())))
			continue
		}
		if was, twice := first[addr]; twice {
			c.add(path, quote(kept), fmt.Sprintf("the same address as dns.keep[%d]", was))
			continue
		}
		first[addr] = i
	}
}

// publish wants that something is left of what the relays serve, and names that are
// free and short enough.
func (c *checker) publish(s *Spec) {
	p := s.DNS.Publish
	for path, words := range map[string][]string{"dns.publish.transports": p.Transports, "dns.publish.families": p.Families} {
		for i, w := range words {
			if slices.Contains(words[:i], w) {
				c.add(fmt.Sprintf("%s[%d]", path, i), quote(w), "it stands in the list already")
			}
		}
	}
	ports := map[string]int{TransportTCP: s.Relay.Port, TransportQUIC: s.Relay.QUICPort, TransportWS: s.Relay.WSPort}
	if len(p.Transports) > 0 && !slices.ContainsFunc(p.Transports, func(t string) bool { return !slices.Contains(Transports(), t) }) && !slices.ContainsFunc(p.Transports, func(t string) bool { return ports[t] != 0 }) {
		c.add("dns.publish.transports", strings.Join(p.Transports, ", "), "want at least one that the relays serve (relay.port, relay.quic_port, relay.ws_port)")
	}
	if countNodes(s.Nodes) > MaxNodes {
		return // said already
	}
	layout := s.Layout()
	for _, name := range layout.Names() {
		if err := dnsaddr.CheckName(strings.TrimPrefix(name, "_dnsaddr.")); err != nil && domainForm.MatchString(s.DNS.Domain) {
			c.add("dns.domain", quote(s.DNS.Domain), fmt.Sprintf("want a shorter name: %s would be a name of the fleet", name))
			return
		}
	}
	bare := *s
	bare.DNS.Publish.Compact = ""
	if p.Compact != "" && slices.Contains(bare.Layout().Names(), strings.ToLower(dnsaddr.Name(p.Compact+"."+s.DNS.Domain))) {
		c.add("dns.publish.compact", quote(p.Compact), "want a label that is not the name of a region's list")
	}
}

// oneSource refuses a secret with several sources.
func (c *checker) oneSource(path string, s SecretSpec) {
	given := 0
	for _, set := range []bool{s.Env != "", s.File != "", len(s.Command) > 0} {
		if set {
			given++
		}
	}
	if given > 1 {
		c.add(path, "", "want one of env, file and command")
	}
}

// Layout says at which names each node of the fleet is published.
func (s Spec) Layout() dnsaddr.Layout { return s.layout(s.Slots()) }

// layout is [Spec.Layout] of slots that are listed already.
func (s Spec) layout(slots []Slot) dnsaddr.Layout {
	nodes := make([]dnsaddr.Node, len(slots))
	usual, six := s.longestFirst(FamilyIP4), s.longestFirst(FamilyIP6)
	alone := s.ip6Alone()
	for i, slot := range slots {
		nodes[i] = dnsaddr.Node{Name: slot.Node, Region: slot.Region, Number: slot.Number, ValueBytes: usual}
		if alone[slot.Node] {
			nodes[i].ValueBytes = six
		}
	}
	return dnsaddr.NewLayout(s.DNS.Domain, nodes, s.DNS.Publish.Compact)
}
