package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// exampleID is the ID of an example fleet.
const exampleID = "01ksz9w0000000000000000000"

// minimal is the shortest spec that is accepted.
const minimal = "name: three\nnodes: [{region: nyc1}]\ndns: {domain: p2p.three.test}\n"

func mustLoad(t *testing.T, data []byte, file string) Spec {
	t.Helper()
	s, err := Load(data, file)
	if err != nil {
		t.Fatalf("Load(%s): %v", file, err)
	}
	return s
}

func exampleFleets(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/fleets/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example fleets: %v", err)
	}
	out := make(map[string][]byte, len(files))
	for _, file := range files {
		data, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = data
	}
	return out
}

func TestLoad_ExampleFleetsAreAccepted(t *testing.T) {
	for file, data := range exampleFleets(t) {
		if _, err := Load(data, file); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestLoad_DefaultsCompleteAMinimalSpec(t *testing.T) {
	want := Spec{
		Name:     "three",
		Provider: "local",
		Nodes:    []NodeSpec{{Region: "nyc1", Count: 1}},
		Relay: RelaySpec{
			Port: 9100, QUICPort: 9101, Network: "/three", Name: "three", Tier: "management",
			Limits: Limits{
				Reservations: 1024, ReservationsIP: 64, Circuits: 512, CircuitsPerPeer: 16,
				CircuitDuration: 2 * time.Minute, CircuitData: 131072, Connections: 4096, Memory: 536870912,
				ProcessMemory: 805306368, OpenFiles: 65536,
			},
		},
		DNS: DNSSpec{Zone: "local", Domain: "p2p.three.test", TTL: 2 * time.Second, MinRelays: 1},
		Rollout: RolloutSpec{
			MaxParallel: 1, MinHealthyTime: time.Second, HealthyDeadline: time.Minute,
			DrainTimeout: 10 * time.Second, ProbeMaxAge: 2 * time.Minute,
		},
	}
	if diff := cmp.Diff(want, mustLoad(t, []byte(minimal), "fleet.yaml")); diff != "" {
		t.Errorf("minimal spec (-want +got):\n%s", diff)
	}
}

func TestDefaults_CloudFleetsWaitLongerThanLocalOnes(t *testing.T) {
	cloud := Defaults("a", "elsewhere", "elsewhere", []NodeSpec{{Region: "x", Count: 3}})
	if got, want := cloud.DNS.TTL, 300*time.Second; got != want {
		t.Errorf("ttl = %v, want %v", got, want)
	}
	if got, want := cloud.Rollout.DrainTimeout, 10*time.Minute; got != want {
		t.Errorf("drain_timeout = %v, want %v", got, want)
	}
	if got, want := cloud.DNS.MinRelays, 2; got != want {
		t.Errorf("min_relays = %v, want %v", got, want)
	}
}

func TestLoad_EveryValueReachesItsField(t *testing.T) {
	data := []byte(`name: a
provider: local
nodes: [{region: nyc1, count: 2, delay: 40ms}, {region: fra1}]
relay:
  {port: 1, quic_port: 2, ws_port: 3, network: /n, name: N, tier: T, binary: ./relay, limits: {reservations: 5, reservations_per_ip: 6,
   circuits: 7, circuits_per_peer: 8, circuit_duration: 9s, circuit_data: 10, connections: 11, memory: 67108864,
   process_memory: 67108865, open_files: 1024}}
dns: {zone: local, domain: a.test, ttl: 12, min_relays: 3}
rollout: {max_parallel: 4, min_healthy_time: 5s, healthy_deadline: 6s, drain_timeout: 7s, probe_max_age: 8s}
`)
	want := Spec{
		Name: "a", Provider: "local",
		Nodes: []NodeSpec{{Region: "nyc1", Count: 2, Delay: 40 * time.Millisecond}, {Region: "fra1", Count: 1}},
		Relay: RelaySpec{
			Port: 1, QUICPort: 2, WSPort: 3, Network: "/n", Name: "N", Tier: "T", Binary: "./relay",
			Limits: Limits{
				Reservations: 5, ReservationsIP: 6, Circuits: 7, CircuitsPerPeer: 8,
				CircuitDuration: 9 * time.Second, CircuitData: 10, Connections: 11, Memory: 67108864,
				ProcessMemory: 67108865, OpenFiles: 1024,
			},
		},
		DNS: DNSSpec{Zone: "local", Domain: "a.test", TTL: 12 * time.Second, MinRelays: 3},
		Rollout: RolloutSpec{
			MaxParallel: 4, MinHealthyTime: 5 * time.Second, HealthyDeadline: 6 * time.Second,
			DrainTimeout: 7 * time.Second, ProbeMaxAge: 8 * time.Second,
		},
	}
	if diff := cmp.Diff(want, mustLoad(t, data, "fleet.yaml")); diff != "" {
		t.Errorf("full spec (-want +got):\n%s", diff)
	}
}

func TestLoad_EveryValueOfAZoneReachesItsField(t *testing.T) {
	const head = "name: a\nnodes: [{region: nyc1, count: 2}]\n"
	for _, tt := range []struct {
		dns  string
		want DNSSpec
	}{
		{
			"{zone: cloudflare, domain: xn--rel-dma.a.test, publish: {addresses: 2, transports: [quic, tcp], families: [ip6], compact: small}, resolvers: [192.0.2.1, \"tls://dns.test\"]," +
				" cloudflare: {zone_id: 0123456789abcdef0123456789abcdef, token: {command: [op, read]}}}",
			DNSSpec{
				Zone: ZoneCloudflare, Domain: "xn--rel-dma.a.test", TTL: 300 * time.Second, MinRelays: 2,
				Publish:    PublishSpec{Addresses: 2, Transports: []string{"quic", "tcp"}, Families: []string{"ip6"}, Compact: "small"},
				Resolvers:  []string{"192.0.2.1", "tls://dns.test"},
				Cloudflare: CloudflareSpec{ZoneID: "0123456789abcdef0123456789abcdef", Token: SecretSpec{Command: []string{"op", "read"}}},
			},
		},
		{
			"{zone: rfc2136, domain: p2p.a.test, ttl: 60, rfc2136: {server: \"[2001:db8::1]:53\", zone: a.test, key_name: fleet-key., key: {file: k}}}",
			DNSSpec{
				Zone: ZoneRFC2136, Domain: "p2p.a.test", TTL: time.Minute, MinRelays: 2,
				RFC2136: RFC2136Spec{Server: "[2001:db8::1]:53", Zone: "a.test", KeyName: "fleet-key.", KeyAlgorithm: "hmac-sha256", Key: SecretSpec{File: "k"}},
			},
		},
	} {
		got := mustLoad(t, []byte(head+"dns: "+tt.dns+"\n"), "fleet.yaml")
		if diff := cmp.Diff(tt.want, got.DNS); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.dns, diff)
		}
		if diff := cmp.Diff(got, mustLoad(t, Encode(got), "canonical")); diff != "" {
			t.Errorf("%s: the canonical form says something else (-file +canonical):\n%s", tt.dns, diff)
		}
	}
}

func TestLoad_WindowsLineEndsAndByteOrderMarkAreAccepted(t *testing.T) {
	windows := "\ufeff" + strings.ReplaceAll(string(Example("three", ProviderLocal, exampleID)), "\n", "\r\n")
	if diff := cmp.Diff(mustLoad(t, Example("three", ProviderLocal, exampleID), "unix"), mustLoad(t, []byte(windows), "windows")); diff != "" {
		t.Errorf("line ends change the spec (-unix +windows):\n%s", diff)
	}
}

func TestExample_OfEveryProviderIsAccepted(t *testing.T) {
	for _, provider := range Providers() {
		got := mustLoad(t, Example("three", provider, exampleID), provider)
		if got.Provider != provider || got.ID != exampleID || len(got.Slots()) != 3 {
			t.Errorf("%s: got provider %q, ID %q, slots %+v", provider, got.Provider, got.ID, got.Slots())
		}
		again := mustLoad(t, Encode(got), provider+", canonical")
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("%s: the canonical form says something else (-file +canonical):\n%s", provider, diff)
		}
	}
}

func TestExample_IsWhatTheDemoFleetIs(t *testing.T) {
	got := mustLoad(t, Example("three", ProviderLocal, exampleID), "example")
	got.ID = "" // the demo fleet has none
	want := Defaults("three", "", "", []NodeSpec{{Region: "nyc1", Count: 1}, {Region: "fra1", Count: 1}, {Region: "sgp1", Count: 1}})
	want.DNS.Domain = "p2p.three.test"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the example says something else than the defaults (-want +got):\n%s", diff)
	}
	if !bytes.HasPrefix(Example("three", ProviderLocal, exampleID), []byte("# yaml-language-server: $schema=")) {
		t.Error("the example has no $schema header")
	}
}

func TestEncode_LoadsToTheSameSpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)
		nodes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) NodeSpec {
			return NodeSpec{
				Region: "r" + name.Draw(t, "region"), Count: rapid.IntRange(1, 9).Draw(t, "count"),
				Delay: time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "delay")),
			}
		}), 1, 5).Draw(t, "nodes")
		s := Defaults(name.Draw(t, "name"), "", "", nodes)
		s.DNS.Domain = name.Draw(t, "label") + ".test"
		s.DNS.TTL = time.Duration(rapid.IntRange(1, 86400).Draw(t, "ttl")) * time.Second
		s.Relay.Tier = rapid.StringMatching(`[A-Za-z0-9._-]{1,12}`).Draw(t, "tier")
		s.Relay.Binary = rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "binary")
		s.Rollout.DrainTimeout = time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "drain"))
		if s.Validate() != nil {
			return // regions that read like nodes
		}
		got, err := Load(Encode(s), "canonical")
		if err != nil {
			t.Fatalf("canonical form is refused: %v\n%s", err, Encode(s))
		}
		if diff := cmp.Diff(s, got); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, Encode(s))
		}
	})
}

func TestEncode_TextThatReadsLikeYAMLIsQuoted(t *testing.T) {
	for _, text := range []string{"? !", "- a", "? ", "!", "&a", "*a", "%a", "@a", "a: b", "a #b", "null", "1", "true", "'", "\"", "...--", "---", "..", "~", "=", "<<", "[", "{", "|", ">"} {
		s := Defaults("a", "", "", []NodeSpec{{Region: "nyc1", Count: 1}})
		s.DNS.Domain, s.Relay.Binary = "a.test", text
		if got, err := Load(Encode(s), "canonical"); err != nil || got.Relay.Binary != text {
			t.Errorf("%q: got %q and error %v\n%s", text, got.Relay.Binary, err, Encode(s))
		}
	}
}

func TestLoad_AThousandNodesLoadAndOneMoreDoesNot(t *testing.T) {
	spec := func(n int) []byte {
		var b strings.Builder
		b.WriteString("name: a\ndns: {domain: a.test}\nnodes:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {region: r%d, count: 1, delay: 1ms}\n", i)
		}
		return []byte(b.String())
	}
	if got := len(mustLoad(t, spec(MaxNodes), "fleet.yaml").Slots()); got != MaxNodes {
		t.Errorf("slots = %d, want %d", got, MaxNodes)
	}
	var se *SpecError
	if _, err := Load(spec(MaxNodes+1), "fleet.yaml"); !errors.As(err, &se) || !strings.Contains(err.Error(), "fleet.yaml:3:1: nodes: 1001 entries: want a list of 1 to 1000 regions") {
		t.Errorf("1001 nodes: %v", err)
	}
}

func TestSpecError_CountsWhatItDoesNotList(t *testing.T) {
	var b strings.Builder
	b.WriteString(minimal)
	for i := range 1000 {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	_, err := Load([]byte(b.String()), "fleet.yaml")
	var se *SpecError
	if !errors.As(err, &se) {
		t.Fatalf("error is %T, want *SpecError", err)
	}
	if len(se.Problems) != MaxProblems || len(se.Problems)+se.More != 1000 {
		t.Errorf("%d listed and %d more, want %d and %d", len(se.Problems), se.More, MaxProblems, 1000-MaxProblems)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != MaxProblems+1 || lines[MaxProblems] != "fleet.yaml: and 980 more problems" {
		t.Errorf("last line is %q", lines[len(lines)-1])
	}
	if _, err := json.Marshal(se); err != nil {
		t.Errorf("not JSON: %v", err)
	}
}
