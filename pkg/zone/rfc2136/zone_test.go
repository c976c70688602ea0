package rfc2136_test

import (
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

func TestZone_KeepsTheContract(t *testing.T) {
	zonetest.Run(t, func(t *testing.T) dnsaddr.Zone { return open(t, config(rfctest.Start(t, apex))) })
}

func TestZone_KeepsTheContractWithoutTransfers(t *testing.T) {
	zonetest.Run(t, func(t *testing.T) dnsaddr.Zone {
		s := rfctest.Start(t, apex)
		s.RefuseTransfers(true)
		cfg := config(s)
		cfg.Zone = "" // and found by asking
		return open(t, cfg)
	})
}
