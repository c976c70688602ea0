package rfc2136_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/credential"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apex      = "zone.test"
	domain    = "p2p.zone.test"
	name      = "_dnsaddr.p2p.zone.test"
	companion = "_fleetctl.p2p.zone.test"
	peer      = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
)

// given is a secret that is known.
func given(value string) credential.Source {
	return func(context.Context) (string, string, error) { return value, "the test", nil }
}

// config of a zone at a server of tests. A server that is asked on loopback either answers
// at once or never.
func config(s *rfctest.Server) rfc2136.Config {
	return rfc2136.Config{
		Domain: domain, Zone: apex, Server: s.Addr(), KeyName: rfctest.KeyName, Secret: given(rfctest.Secret),
		Waits: rfc2136.Waits{Visible: 30 * time.Second},
	}
}

func open(t *testing.T, cfg rfc2136.Config) *rfc2136.Zone {
	t.Helper()
	z, err := rfc2136.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return z
}

func relay(host string) dnsaddr.Record {
	return dnsaddr.Record{Name: name, Value: "dnsaddr=/ip4/" + host + "/tcp/9100" + peer, TTL: time.Minute, Comment: "fleetctl:demo/nyc1-1"}
}

func apply(t *testing.T, z dnsaddr.Zone, c dnsaddr.Changes) {
	t.Helper()
	if err := z.Apply(t.Context(), name, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

func list(t *testing.T, z dnsaddr.Zone) []dnsaddr.Record {
	t.Helper()
	got, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatalf("Records: %v", err)
	}
	return got
}
