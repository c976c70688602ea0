package host_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
	hosttest.Run(t, elfFile(t, elf.EM_X86_64), func(testing.TB) hosttest.Box {
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

// elfFile makes the smallest file that says for which processor it is built.
func elfFile(t testing.TB, processor elf.Machine) string {
	t.Helper()
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(processor), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phentsize: 56, Shentsize: 64,
	}
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
