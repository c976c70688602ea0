package relay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseConfig_TheExampleHasEveryKeyAndIsTheDefault(t *testing.T) {
	got, err := ParseConfig([]byte(Example()))
	if err != nil {
		t.Fatalf("the example: %v", err)
	}
	want := Default().withDefaults()
	want.Announce = []string{"/ip4/192.0.2.7/tcp/9100"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("example = %+v\nwant      %+v", got, want)
	}
	for _, key := range configKeys() {
		if !strings.Contains(Example(), key+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
}

func TestParseConfig_WhatFleetctlWrites(t *testing.T) {
	got, err := ParseConfig([]byte(`name: bitterbot
tier: management
network: /bitterbot
state: /var/lib/relay
listen: [/ip4/0.0.0.0/tcp/9100, /ip4/0.0.0.0/udp/9101/quic-v1]
announce: [/ip4/192.0.2.7/tcp/9100]
api: 127.0.0.1:9847
limits: {reservations: 1024, reservations_per_ip: 64, circuits: 512, circuits_per_peer: 16, circuit_duration: 2m0s, circuit_data: 131072, connections: 4096, memory: 536870912}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Limits != Default().Limits || got.Network != "/bitterbot" || got.Grace != 5*time.Second {
		t.Errorf("got %+v", got)
	}
}

func TestParseConfig_RefusesWithTheLineTheKeyAndWhatIsAccepted(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":    {"name: a\nlisten_addr: []\n", `line 2: unknown key "listen_addr", the nearest known key is "listen"`},
		"unknown limit":  {"limits:\n  reservation: 4\n", `line 2: unknown key "reservation", the nearest known key is "reservations"`},
		"far from any":   {"zzzzzzzzzzzz: 1\n", `line 1: unknown key "zzzzzzzzzzzz"`},
		"empty":          {" \n\n", "empty"},
		"only a comment": {"# nothing\n", "no keys"},
		"half written":   {"name: a\nlisten: [/ip4/", "line 2"},
		"binary":         {"\x00\x01\x02", ""},
		"a list":         {"- a\n- b\n", "line 1"},
		"wrong type":     {"limits: {reservations: many}\n", "line 1"},
		"twice":          {"name: a\nname: b\n", "line 2"},
		"range":          {"limits: {reservations: 0}\n", "limits.reservations: 0: accepted are 1 to 1000000"},
		"negative data":  {"limits: {circuit_data: -1}\n", "limits.circuit_data: -1: accepted are 0 to"},
		"duration":       {"limits: {circuit_duration: -2m}\n", "limits.circuit_duration: -2m0s: accepted are 0s to"},
		"public api":     {"api: 0.0.0.0:9847\n", "accepted is a loopback address"},
		"relative state": {"state: var\n", "accepted is an absolute path"},
		"slash in name":  {"name: a/b\n", "accepted are 1 to 64 letters"},
		"network":        {"network: bitterbot\n", "accepted is a protocol prefix"},
		"listen by name": {"listen: [/dns4/a.example/tcp/1]\n", "accepted are /ip4|ip6"},
		"webtransport":   {"listen: [/ip4/0.0.0.0/udp/1/quic-v1/webtransport]\n", "accepted are /ip4|ip6"},
		"listen nowhere": {"listen: []\n", "accepted are 1 to 32"},
		"listen twice":   {"listen: [/ip4/0.0.0.0/tcp/1, /ip4/0.0.0.0/tcp/1]\n", "named twice"},
		"announce":       {"announce: [nowhere]\n", "announce[0]"},
	} {
		_, err := ParseConfig([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestNew_TakesTheSmallestAndTheLargestLimits(t *testing.T) {
	for _, l := range []Limits{
		{Reservations: 1, ReservationsPerIP: 1, Circuits: 1, CircuitsPerPeer: 1, Connections: 8, Memory: 64 << 20},
		{Reservations: 1e6, ReservationsPerIP: 1e6, Circuits: 1e6, CircuitsPerPeer: 1e6, CircuitDuration: 24 * time.Hour, CircuitData: 1 << 40, Connections: 1e6, Memory: 1 << 40},
	} {
		cfg := loopback(t)
		cfg.Limits = l
		r := start(t, cfg)
		h := newEcho(t)
		if _, err := reserve(t, h, r.info()); err != nil {
			t.Errorf("%+v: reserve: %v", l, err)
		}
		if s, err := through(t, newEcho(t), r.info(), h.ID()); err != nil {
			t.Errorf("%+v: circuit: %v", l, err)
		} else {
			ask(t, s, "bytes")
		}
	}
}

func TestLoadConfig_NamesTheFileAndRefusesHugeOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.yaml")
	var explained *HintError
	if _, err := LoadConfig(path); !errors.Is(err, os.ErrNotExist) || !errors.As(err, &explained) {
		t.Errorf("missing: %v, want a hint", err)
	}
	write(t, path, strings.Repeat("#", maxConfigBytes+1))
	if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("huge: %v", err)
	}
	write(t, path, "nam: a\n")
	if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"name"`) {
		t.Errorf("unknown: %v", err)
	}
}

func TestSchema_HasEveryKeyAndAllowsNoOther(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		AdditionalProperties *bool
		Properties           map[string]struct {
			Type                 string
			AdditionalProperties *bool
			Properties           map[string]any
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.AdditionalProperties == nil || *schema.AdditionalProperties {
		t.Error("the schema allows unknown keys")
	}
	for _, key := range configKeys() {
		_, top := schema.Properties[key]
		_, limit := schema.Properties["limits"].Properties[key]
		if !top && !limit {
			t.Errorf("the schema lacks %s", key)
		}
	}
	if got := schema.Properties["grace"].Type; got != "string" {
		t.Errorf("grace is %q, want string", got)
	}
}

func TestNew_AnnounceThatNamesAnotherPeerIsRefused(t *testing.T) {
	cfg := loopback(t)
	cfg.Announce = []string{"/ip4/192.0.2.7/tcp/9100/p2p/12D3KooWGJBjjL2nKUCAQqSbthNYJDxGHJedwdkAE6aRSpEy6pp2"}
	_, err := New(cfg, nil)
	if err == nil || !strings.Contains(err.Error(), "another peer") {
		t.Errorf("New = %v, want a refusal", err)
	}
	cfg.Announce = nil
	r, err := New(cfg, nil)
	if err != nil {
		t.Fatalf("after the refusal the state directory is free: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(Example()))
	f.Add([]byte("name: a\nlimits: {reservations: 1}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		cfg, err := ParseConfig(text)
		if err == nil && cfg.Validate() != nil {
			t.Errorf("accepted %q, which does not validate", text)
		}
	})
}
