package fleet

import (
	"errors"
	"strings"
	"testing"
)

// with is the minimal spec with more lines at its end.
func with(lines string) string { return minimal + lines + "\n" }

// foreign is the address of a relay of somebody else.
const foreign = "/dns4/boot.example.net/tcp/443/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

func TestLoad_BadInputNamesLineKeyValueAndWhatIsAccepted(t *testing.T) {
	nodes := func(list string) string { return "name: a\nnodes: " + list + "\ndns: {domain: a.test}\n" }
	ocean := func(keys string) string { return with("provider: digitalocean\ndigitalocean: {" + keys + "}") }
	hosts := func(lines string) string {
		return "name: a\nprovider: hosts\ndns: {domain: a.test}\n" + lines + "\n"
	}
	dns := func(keys string) string {
		return "name: a\nnodes: [{region: r, count: 3}]\ndns: {domain: a.test, " + keys + "}\n"
	}
	update := func(keys string) string { return dns("zone: rfc2136, rfc2136: {key_name: k, " + keys + "}") }
	for _, tt := range []struct {
		name, file string
		want       []string // the lines of the error, in this order
	}{
		// The file as a whole.
		{"empty", "", []string{"f: the file is empty; want at least name, nodes and dns.domain (`fleetctl init` writes one)"}},
		{"only comments", "# nothing\n\n", []string{"f: the file is empty;"}},
		{"only a marker", "---\n", []string{"f: the file is empty;"}},
		{"huge", strings.Repeat("# x\n", 1<<18) + "#", []string{"f: the file is larger than 1048576 bytes"}},
		{"binary", "\x7fELF\x02\x01\x01\x00", []string{"f:1:1: character U+007F: control characters are not accepted"}},
		{"zero byte", "name: a\x00b\n", []string{"f:1:8: character U+0000: control characters"}},
		{"terminal escape", "name: a\n# \x1b[31mred\n", []string{"f:2:3: character U+001B: control characters"}},
		{"invalid UTF-8", "name: a\ndns: \xff\n", []string{"f:2:6: byte 0xff: the file is not UTF-8 text"}},
		{"UTF-16", "\xff\xfen\x00a\x00", []string{"f:1:1: byte 0xff: the file is not UTF-8 text"}},
		{"half-written list", "name: a\nnodes: [{region: nyc1}, {reg", []string{"f:2:26: not YAML: could not find flow map content"}},
		{"half-written text", "name: \"a\nnodes: 1\n", []string{"f:1:7: not YAML: could not find end character of double-quoted text"}},
		{"half-written key", minimal + "relay:\n", []string{"f:4:8: relay: no value: want keys with values, one per line"}},
		{"tab", "dns:\n\tttl: 1\n", []string{"f:2:1: not YAML: found character '\\t' that cannot start any token"}},
		{"a list", "- a\n- b\n", []string{"f:1:1: a list: want keys with values, one per line"}},
		{"a word", "hello\n", []string{`f:1:1: "hello": want keys with values, one per line`}},
		{"two documents", minimal + "---\n" + minimal, []string{"f:5:1: a second document begins here; a fleet.yaml is one"}},
		{"anchor", "name: &a b\n", []string{`f:1:7: "&": anchors and aliases are not accepted: write the value out`}},
		{"alias", "name: *a\n", []string{`f:1:7: "*": anchors and aliases are not accepted`}},
		{"merge", "<<: {name: a}\n", []string{`f:1:1: "<<": anchors and aliases are not accepted`}},
		{"tag", "name: !!str 1\n", []string{`f:1:7: "!!str": tags are not accepted`}},
		{"directive", "%YAML 1.2\n---\nname: a\n", []string{`f:1:1: "%": directives are not accepted`}},
		{"complex key", "? a\n: b\n", []string{`f:1:1: "?": complex keys (?) are not accepted`}},
		{"deep flow", strings.Repeat("[", 1000), []string{`f:1:33: "[": nested deeper than 32 levels`}},
		{"deep block", strings.Repeat("- ", 1000), []string{`f:1:65: "-": nested deeper than 32 levels`}},
		{"too many keys", strings.Repeat("a: 1\n", maxKeys+1), []string{`f:10001:2: ":": more than 10000 keys`}},

		// Keys.
		{"unknown key", with("relays: {}"), []string{"f:4:1: relays: keys with values: unknown key; the nearest known key is relay"}},
		{"unknown key below", with("relay: {prot: 9100}"), []string{"f:4:9: relay.prot: 9100: unknown key; the nearest known key is relay.port"}},
		{"unknown key in a list", nodes("[{region: a, cuont: 2}]"), []string{"f:2:21: nodes[0].cuont: 2: unknown key; the nearest known key is nodes[0].count"}},
		{"key at the wrong level", with("ttl: 5"), []string{"f:4:1: ttl: 5: unknown key; the nearest known key is dns.ttl"}},
		{"section of another provider", with("digitalocean: {size: s-1vcpu-1gb}"), []string{`f:4:1: digitalocean: only provider "digitalocean" reads it`}},
		{"hosts of another provider", with("hosts: [{address: a.test, region: nyc1}]"), []string{`f:4:1: hosts: only provider "hosts" has hosts, this is "local"`}},
		{"size", ocean("size: S_1"), []string{`digitalocean.size: "S_1": want a size's slug, such as s-1vcpu-1gb`}},
		{"tag of ours", ocean(`tags: ["fleet:other"]`), []string{`digitalocean.tags[0]: "fleet:other": this is how fleetctl knows its own machines: want another word`}},
		{"tag that the API refuses", ocean(`tags: ["two words"]`), []string{`digitalocean.tags[0]: "two words": want 1 to 255 of A-Z, a-z, 0-9, _, : and -`}},
		{"token in the file", ocean("token: dop_v1_abc"), []string{`digitalocean.token: "dop_v1_abc": want keys with values, one per line`}},
		{"two tokens", ocean("token: {env: A, file: b}"), []string{"digitalocean.token: want one of env, file and command"}},
		{"hosts without one", hosts(""), []string{`hosts: missing; provider "hosts" needs at least one`}},
		{"hosts and nodes", hosts("hosts: [{address: a.test, region: nyc1}]\nnodes: [{region: nyc1}]"), []string{`f:5:1: nodes: with provider "hosts" the nodes are the hosts: remove the key`}},
		{"host twice", hosts("hosts: [{address: a.test, region: nyc1}, {address: A.test, region: fra1}]"), []string{`hosts[1].address: "A.test": the machine of hosts[0], too`}},
		{"host twice, spelt in two ways", hosts("hosts: [{address: '2001:db8::1', region: nyc1}, {address: '2001:DB8:0::1', region: fra1}]"), []string{`hosts[1].address: "2001:DB8:0::1": the machine of hosts[0], too`}},
		{"host twice, one mapped", hosts("hosts: [{address: 192.0.2.1, region: nyc1}, {address: '::ffff:192.0.2.1', region: fra1}]"), []string{`hosts[1].address: "::ffff:192.0.2.1": the machine of hosts[0], too`}},
		{"node twice", hosts("hosts: [{address: a.test, region: nyc1}, {address: b.test, region: fra1, node: nyc1-1}]"), []string{`hosts[1].node: "nyc1-1": the node of hosts[0], too`}},
		{"host address", hosts("hosts: [{address: \"-oProxyCommand=x\", region: nyc1}]"), []string{`hosts[0].address: "-oProxyCommand=x": want an IP address or a host's name`}},
		{"host jump", hosts("hosts: [{address: a.test, region: nyc1, jump: \"a b\"}]"), []string{`hosts[0].jump: "a b": want [user@]host[:port]`}},
		{"less for the process than for its connections", with("relay: {limits: {memory: 200000000, process_memory: 100000000}}"), []string{"relay.limits.process_memory: 100000000: want at least relay.limits.memory (200000000): the process is more than its connections"}},
		{"strange key", with(`"a b\u001b": 1`), []string{`f:4:1: "a b\x1b": 1: unknown key;`}},
		{"duplicate key", with("name: b"), []string{"f:4:1: name: the key stands twice; the first is in line 1"}},
		{"duplicate key below", dns("ttl: 1, ttl: 2"), []string{"f:3:31: dns.ttl: the key stands twice; the first is in line 3"}},
		{"missing keys", "provider: local\n", []string{"f:1:1: name: missing; the key is required", "f:1:1: nodes: missing", "f:1:1: dns: missing"}},
		{"missing key below", "name: a\nnodes: [{count: 2}]\ndns: {ttl: 5}\n", []string{"f:2:9: nodes[0].region: missing", "f:3:1: dns.domain: missing"}},

		// Values.
		{"name too long", strings.Replace(minimal, "three", strings.Repeat("a", 33), 1), []string{`f:1:1: name: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": want a DNS label: 1 to 32 of a-z, 0-9 and -, no - at either end`}},
		{"name is a number", strings.Replace(minimal, "three", "3", 1), []string{"f:1:7: name: 3: want text, a DNS label: 1 to 32 of a-z, 0-9 and -, no - at either end; quote it"}},
		{"provider", with("provider: digitaloceam"), []string{`f:4:1: provider: "digitaloceam": want "local" or "digitalocean" or "hosts"`}},
		{"zone", dns("zone: route53"), []string{`f:3:23: dns.zone: "route53": want "local" or "cloudflare" or "rfc2136"`}},
		{"no nodes", nodes("[]"), []string{"f:2:1: nodes: 0 entries: want a list of 1 to 1000 regions"}},
		{"nodes is a word", nodes("nyc1"), []string{`f:2:8: nodes: "nyc1": want a list of 1 to 1000 regions`}},
		{"node is a word", nodes("[nyc1]"), []string{`f:2:9: nodes[0]: "nyc1": want keys with values`}},
		{"region with a space", nodes("[{region: new york}]"), []string{`f:2:10: nodes[0].region: "new york": want 1 to 32 of a-z, 0-9 and -`}},
		{"region with a slash", nodes("[{region: ../up}]"), []string{`f:2:10: nodes[0].region: "../up": want 1 to 32`}},
		{"region with control characters", nodes(`[{region: "a\u001b[2Jb"}]`), []string{`f:2:10: nodes[0].region: "a\x1b[2Jb": want 1 to 32`}},
		{"region with a line end", nodes(`[{region: "a\n"}]`), []string{`f:2:10: nodes[0].region: "a\n": want 1 to 32`}},
		{"region that reads like a node", nodes("[{region: nyc1}, {region: nyc1-1}]"), []string{`f:2:26: nodes[1].region: "nyc1-1": want a region that is not also the name of a node; region "nyc1" has a node of that name`}},
		{"count zero", nodes("[{region: a, count: 0}]"), []string{"f:2:21: nodes[0].count: 0: want a number from 1 to 1000"}},
		{"count is text", nodes("[{region: a, count: two}]"), []string{`f:2:28: nodes[0].count: "two": want a number from 1 to 1000`}},
		{"count is a fraction", nodes("[{region: a, count: 1.5}]"), []string{"nodes[0].count: 1.5: want a number from 1 to 1000"}},
		{"count beyond every number", nodes("[{region: a, count: 99999999999999999999999}]"), []string{"nodes[0].count: \"99999999999999999999999\": want a number from 1 to 1000"}},
		{"too many nodes in all", nodes("[{region: a, count: 600}, {region: b, count: 600}]"), []string{"f:2:1: nodes: want at most 1000 nodes in all"}},
		{"delay too long", nodes("[{region: a, delay: 6s}]"), []string{"nodes[0].delay: 6s: want a duration from 0s to 5s, with its unit"}},
		{"delay without unit", nodes("[{region: a, delay: 5}]"), []string{"nodes[0].delay: 5: want text, a duration from 0s to 5s, with its unit"}},
		{"delay without sense", nodes("[{region: a, delay: soon}]"), []string{`nodes[0].delay: "soon": want a duration from 0s to 5s`}},
		{"port", with("relay: {port: 0}"), []string{"f:4:9: relay.port: 0: want a port from 1 to 65535"}},
		{"port negative", with("relay: {quic_port: -1}"), []string{"relay.quic_port: -1: want a port from 0 to 65535"}},
		{"same port twice", with("relay: {port: 443, ws_port: 443}"), []string{"f:4:20: relay.ws_port: 443: want a port other than relay.port: both are TCP"}},
		{"network", with("relay: {network: a/b}"), []string{`relay.network: "a/b": want / and then 1 to 63 of a-z, 0-9 and -`}},
		{"tier with a slash", with("relay: {tier: a/b}"), []string{`relay.tier: "a/b": want 1 to 64 of A-Z, a-z, 0-9, ., _ and -`}},
		{"binary empty", with(`relay: {binary: ""}`), []string{`relay.binary: "": want a path of 1 to 4096 printable bytes`}},
		{"limit", with("relay: {limits: {reservations: 0}}"), []string{"f:4:18: relay.limits.reservations: 0: want a number from 1 to 1000000"}},
		{"limits that contradict", with("relay: {limits: {reservations: 9000}}"), []string{"relay.limits.reservations: 9000: want at most relay.limits.connections (4096)"}},
		{"domain with its prefix", strings.Replace(minimal, "p2p.three", "_dnsaddr.p2p.three", 1), []string{`f:3:7: dns.domain: "_dnsaddr.p2p.three.test": want a domain name of two labels or more`}},
		{"domain with a final dot", strings.Replace(minimal, ".test", ".test.", 1), []string{`f:3:7: dns.domain: "p2p.three.test.": want a domain name`}},
		{"ttl zero", dns("ttl: 0"), []string{"dns.ttl: 0: want a number of seconds from 1 to 86400"}},
		{"ttl beyond the zone", dns("ttl: 86401"), []string{"dns.ttl: 86401: want a number of seconds from 1 to 86400"}},
		{"ttl with a unit", dns("ttl: 5m"), []string{`dns.ttl: "5m": want a number of seconds from 1 to 86400`}},
		{"min_relays above the nodes", dns("min_relays: 4"), []string{"dns.min_relays: 4: want a number from 1 to 3, the nodes of the fleet"}},
		{"min_relays zero", dns("min_relays: 0"), []string{"dns.min_relays: 0: want a number from 1 to 1000"}},
		{"keep without a peer ID", dns("keep: [/ip4/192.0.2.1/tcp/1]"), []string{`f:3:30: dns.keep[0]: "/ip4/192.0.2.1/tcp/1": want a multiaddr that ends in /p2p/ and a peer ID: `}},
		{"keep is no address", dns(`keep: ["a\u001b"]`), []string{`f:3:30: dns.keep[0]: "a\x1b": want a multiaddr that ends in /p2p/ and a peer ID`}},
		{"keep twice", dns("keep: [" + foreign + ", " + foreign + "]"), []string{"the same address as dns.keep[0]"}},
		{"ttl below Cloudflare's", dns("zone: cloudflare, ttl: 30"), []string{`dns.ttl: 30: want a number of seconds from 60 to 86400, as zone "cloudflare" accepts them`}},
		{"ttl of Cloudflare's own choice", dns("zone: cloudflare, ttl: 1"), []string{`dns.ttl: 1: want a number of seconds from 60 to 86400`}},
		{"domain with an underscore", strings.Replace(minimal, "p2p.three", "p_2.three", 1), []string{`f:3:7: dns.domain: "p_2.three.test": want a domain name of two labels or more`}},
		{"domain of another script", strings.Replace(minimal, "p2p.three", "relé.three", 1), []string{`f:3:7: dns.domain: "relé.three.test": want a domain name of two labels or more, in lower case, without underscores (_dnsaddr. is put before it) and without a final dot; a name of another script in its xn-- form`}},
		{"section of another zone", dns("cloudflare: {}"), []string{`dns.cloudflare: only zone "cloudflare" reads it`}},
		{"section of another zone, too", dns("zone: cloudflare, rfc2136: {server: \"a:53\"}"), []string{`dns.rfc2136: only zone "rfc2136" reads it`}},
		{"zone ID", dns("zone: cloudflare, cloudflare: {zone_id: example.com}"), []string{`dns.cloudflare.zone_id: "example.com": want 32 of 0-9 and a-f`}},
		{"Cloudflare's token in the file", dns("zone: cloudflare, cloudflare: {token: abc}"), []string{`dns.cloudflare.token: "abc": want keys with values, one per line`}},
		{"two tokens of Cloudflare", dns("zone: cloudflare, cloudflare: {token: {env: A, file: b}}"), []string{"dns.cloudflare.token: want one of env, file and command"}},
		{"unknown key of Cloudflare's", dns("zone: cloudflare, cloudflare: {zoneid: 1}"), []string{"dns.cloudflare.zoneid: 1: unknown key; the nearest known key is dns.cloudflare.zone_id"}},
		{"updates without a server", dns("zone: rfc2136"), []string{"f:3:1: dns.rfc2136: missing; the key is required"}},
		{"updates with nothing said", dns("zone: rfc2136, rfc2136: {key: {env: A}}"), []string{"dns.rfc2136.server: missing", "dns.rfc2136.zone: missing", "dns.rfc2136.key_name: missing"}},
		{"server without a port", update("server: ns.a.test, zone: a.test"), []string{`dns.rfc2136.server: "ns.a.test": want host:port`}},
		{"domain outside the zone", update(`server: "ns.a.test:53", zone: b.test`), []string{`dns.domain: "a.test": want a name in the zone "b.test" (dns.rfc2136.zone)`}},
		{"algorithm", update(`server: "ns.a.test:53", zone: a.test, key_algorithm: hmac-md5`), []string{`dns.rfc2136.key_algorithm: "hmac-md5": want "hmac-sha256" or`}},
		{"transport", dns("publish: {transports: [webtransport]}"), []string{`dns.publish.transports[0]: "webtransport": want "tcp" or "quic" or "ws"`}},
		{"transport twice", dns("publish: {transports: [tcp, tcp]}"), []string{`dns.publish.transports[1]: "tcp": it stands in the list already`}},
		{"no transport that is served", dns("publish: {transports: [ws]}"), []string{`dns.publish.transports: ws: want at least one that the relays serve`}},
		{"family", dns("publish: {families: [ip5]}"), []string{`dns.publish.families[0]: "ip5": want "ip4" or "ip6"`}},
		{"compact is a list", "name: a\nnodes: [{region: r, count: 17}]\ndns: {domain: a.test, publish: {compact: r}}\n", []string{`dns.publish.compact: "r": want a label that is not the name of a region's list`}},
		{"domain too long for a list", "name: a\nnodes: [{region: r, count: 17}]\ndns: {domain: " + strings.Repeat("a.", 119) + "tests}\n", []string{`want a shorter name: `}},
		{"resolver", dns("resolvers: [\"a b\"]"), []string{`dns.resolvers[0]: "a b": want an address such as`}},
		{"rollout", with("rollout: {max_parallel: 0}"), []string{"rollout.max_parallel: 0: want a number from 1 to 100"}},
		{"rollout that contradicts", with("rollout: {min_healthy_time: 2m}"), []string{"rollout.min_healthy_time: 2m: want less than rollout.healthy_deadline (1m)"}},

		// Several at once, in the order of the file.
		{"several", "nane: a\nnodes: [{region: A}]\ndns: {domain: a.test, ttl: 0}\n", []string{
			`f:1:1: nane: "a": unknown key; the nearest known key is name`,
			"f:1:1: name: missing", `f:2:10: nodes[0].region: "A"`, "f:3:23: dns.ttl: 0",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load([]byte(tt.file), "f")
			var se *SpecError
			if !errors.As(err, &se) {
				t.Fatalf("error = %v, want a *SpecError", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("problems:\n%s\nwant %d of them", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("problem %d is\n  %s\nwant\n  %s", i, lines[i], want)
				}
			}
			if Hint(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestValidate_SpecMadeInCodeIsChecked(t *testing.T) {
	s := Defaults("a", "", "", []NodeSpec{{Region: "nyc1"}}) // count 0 is one node
	s.DNS.Domain = "a.test"
	if err := s.Validate(); err != nil {
		t.Fatalf("sound spec: %v", err)
	}
	s.DNS.Domain, s.Relay.Port, s.Nodes[0].Region = "", 70000, "a b"
	err := s.Validate()
	want := `spec: nodes[0].region: "a b": want 1 to 32 of a-z, 0-9 and -, no - at either end
spec: relay.port: 70000: want a port from 1 to 65535
spec: dns.domain: "": want a domain name of two labels or more, in lower case, without underscores (_dnsaddr. is put before it) and without a final dot; a name of another script in its xn-- form`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestNearest_IsTheKeyThatWasMeant(t *testing.T) {
	known := []string{"name", "provider", "nodes", "relay", "dns", "rollout"}
	for word, want := range map[string]string{
		"nodse": "nodes", "Name": "name", "releay": "relay", "roll-out": "rollout", "DNS": "dns",
		strings.Repeat("x", 1<<16): "name", "": "dns",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}
