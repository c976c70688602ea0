package host_test

import (
	"debug/elf"
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHosts(t *testing.T) {
	fake := hosttest.NewFake()
	ports := make(chan int, 100)
	for p := range 100 {
		ports <- 2000 + p
	}
	hosttest.Run(t, hosttest.Program(t, elf.EM_X86_64), func(testing.TB) hosttest.Box {
		m := machine(<-ports)
		return hosttest.Box{
			Machine: m, Runner: fake, Tunnel: fake,
			Config: config,
			Kill:   func(testing.TB) { fake.Box(addr(m)).Kill() },
		}
	})
}

func machine(port int) fleet.Machine {
	return fleet.Machine{
		ID: fmt.Sprint(port), Node: fmt.Sprintf("nyc1-%d", port), User: "root",
		Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Ports: fleet.Ports{SSH: port},
	}
}

func addr(m fleet.Machine) string { return fmt.Sprintf("127.0.0.1:%d", m.Ports.SSH) }

func config(reservations int) string {
	return fmt.Sprintf("name: test\nlimits: {reservations: %d}\n", reservations)
}
