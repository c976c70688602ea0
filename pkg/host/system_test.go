package host

import (
	"fmt"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"

	"github.com/relayfleet/fleetctl/fleet"
)

// droplet is a machine that was bought, and the spec that it was bought for.
func droplet() (fleet.Machine, fleet.Spec) {
	m := fleet.Machine{ID: "1", Node: "nyc1-1", User: "fleetctl", Sudo: true, Ports: fleet.Ports{SSH: 22, TCP: 9100, QUIC: 9101, WS: 443}}
	s := fleet.Spec{Name: "bitterbot", Provider: fleet.ProviderDigitalOcean, Relay: fleet.RelaySpec{
		Port: 9100, QUICPort: 9101, WSPort: 443,
		Limits: fleet.Limits{ProcessMemory: 768 << 20, OpenFiles: 65536},
	}}
	return m, s
}

func partsText(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "=== %s: %s (%s)\n", p.Name, p.Says, p.Fix)
		for _, f := range p.Files {
			fmt.Fprintf(&b, "--- %s %04o\n%s", f.Path, f.Mode, f.Text)
		}
		for _, c := range p.Apply {
			fmt.Fprintf(&b, "$ %s\n", shellescape.QuoteCommand(c.Argv))
		}
	}
	return b.String()
}

func TestParts_AreThese(t *testing.T) {
	m, spec := droplet()
	golden(t, "system.golden", partsText(SystemOf(spec, nil).Parts(m)))
}

func TestParts_OfAGivenMachineAreItsUnitAlone(t *testing.T) {
	m, spec := droplet()
	m.Given = true
	parts := SystemOf(spec, nil).Parts(m)
	if len(parts) != 1 || parts[0].Name != PartUnit {
		t.Errorf("parts of a machine of somebody else's are %s, want the unit alone", partsText(parts))
	}
}

func TestSystemOf_LocalBoxesHaveNone(t *testing.T) {
	_, spec := droplet()
	spec.Provider = fleet.ProviderLocal
	if s := SystemOf(spec, []string{testKey}); s != nil {
		t.Errorf("SystemOf a local fleet = %+v, want nil", s)
	}
}

func TestUnit_FollowsTheMachine(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*fleet.Machine, *fleet.Spec)
		want, not []string
	}{
		{"port 443 needs one capability", func(*fleet.Machine, *fleet.Spec) {},
			[]string{"\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n", "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n", "\nStateDirectory=relay\n", "\nProtectHome=yes\n"}, []string{"ReadWritePaths"}},
		{"no port below 1024", func(m *fleet.Machine, s *fleet.Spec) { m.Ports.WS, s.Relay.WSPort = 0, 0 },
			[]string{"\nCapabilityBoundingSet=\n"}, []string{"CAP_NET_BIND_SERVICE"}},
		{"a forwarder binds 443", func(m *fleet.Machine, _ *fleet.Spec) { m.Bind.WS = 8443 }, []string{"\nCapabilityBoundingSet=\n"}, nil},
		{"limits", func(_ *fleet.Machine, s *fleet.Spec) { s.Relay.Limits.ProcessMemory = 1 << 30 },
			[]string{"\nMemoryMax=1073741824\n", "\nLimitNOFILE=65536\n"}, nil},
		{"another state directory", func(m *fleet.Machine, _ *fleet.Spec) { m.State = "/var/lib/bitterbot" },
			[]string{"\nReadWritePaths=/var/lib/bitterbot\n", "\nProtectHome=yes\n"}, []string{"StateDirectory"}},
		{"a state directory at home", func(m *fleet.Machine, _ *fleet.Spec) { m.State = "/home/ann/my relay" },
			[]string{"\nBindPaths=\"/home/ann/my relay\"\n", "\nProtectHome=tmpfs\n"}, []string{"StateDirectory", "ReadWritePaths"}},
		{"a percent sign", func(m *fleet.Machine, _ *fleet.Spec) { m.State = "/srv/%h" }, []string{"\nReadWritePaths=/srv/%%h\n"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, spec := droplet()
			c.change(&m, &spec)
			text := SystemOf(spec, nil).unit(m).Files[0].Text
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("the unit lacks %q:\n%s", want, text)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("the unit has %q:\n%s", not, text)
				}
			}
		})
	}
}

func TestFirewall_OpensTheServedPortsAndNoOther(t *testing.T) {
	m, spec := droplet()
	m.Ports = fleet.Ports{SSH: 2222, TCP: 9100}
	spec.Relay.QUICPort, spec.Relay.WSPort = 0, 0
	text := SystemOf(spec, nil).firewall(m).Files[0].Text
	if !strings.Contains(text, "tcp dport { 443, 2222, 9100 } accept") || strings.Contains(text, "udp dport {") || strings.Contains(text, "9847") {
		t.Errorf("rules:\n%s\nwant tcp 443, 2222 and 9100, no udp, no API", text)
	}
}

func TestPart_ADigestTellsModeAndText(t *testing.T) {
	p := sshd()
	before := p.digest()
	p.Files[0].Mode = 0o600
	if p.digest() == before {
		t.Error("a part with another mode has the same digest")
	}
}
