package host

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// System is what the boxes of a fleet are beside their relays: the unit, the fence, the
// way in, the keys. It is made by [SystemOf] and changes nothing by itself; a nil
// *System means boxes that have no system of their own, the local ones.
type System struct {
	relay fleet.RelaySpec
	keys  []string
}

// SystemOf is the system that a spec asks for, nil with provider local. Keys are lines in
// authorized_keys form that let operators into every machine, beside those that come with
// one: see [fleet.Machine].Keys. They are only ever added.
func SystemOf(spec fleet.Spec, keys []string) *System {
	if spec.Provider == fleet.ProviderLocal {
		return nil
	}
	return &System{relay: spec.Relay, keys: slices.Clone(keys)}
}

// File is one file of a box, as it should be. It belongs to root.
type File struct {
	Path string
	Mode fs.FileMode
	Text string
}

// Part is one piece of a box's system: files that belong together, and what puts them
// into effect. Equal inputs give identical bytes, so that a difference is drift.
type Part struct {
	Name  string // of the drift: "firewall"
	Says  string // what the files bring about, for people
	Files []File
	Fix   fleet.Fix
	// Needs is the package without whose program the part means nothing; "" for none.
	Needs string
	// Apply is run, in this order, when the files are there. If one of them fails, the
	// files that were there before are put back.
	Apply []sshx.Command
}

// The names of the parts and of what else may drift.
const (
	PartUnit     = "unit"
	PartFirewall = "firewall"
	PartSSHD     = "sshd"
	PartJournal  = "journald"
	PartSysctl   = "sysctl"
	PartUpgrades = "upgrades"
	driftTime    = "time"
	driftSwap    = "swap"
	driftDrain   = "drain mark"
	driftKeys    = "ssh keys"
)

// Parts are the pieces of the system of m, in the order in which they are put right. A
// machine that was entered by the operator gets the unit alone: the rest of it is its
// owner's.
func (s *System) Parts(m fleet.Machine) []Part {
	var parts []Part
	if !m.Given {
		parts = append(parts, s.firewall(m), sshd(), journald(), sysctl(), upgrades())
	}
	switch serviceOf(m) {
	case fleet.ServiceSystemd:
		parts = append(parts, s.unit(m))
	case fleet.ServiceLaunchd:
		parts = append(parts, s.plist())
	}
	return parts
}

// service is the part that is the service's own file, none where there is no such file
// and where s is nil.
func (s *System) service(m fleet.Machine) []Part {
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(s.Parts(m), func(p Part) bool { return p.Name != PartUnit })
}

// serviceOf is what runs the relay of m.
func serviceOf(m fleet.Machine) string { return cmp.Or(m.Service, fleet.ServiceSystemd) }

// stateOf is the relay's state directory on m.
func stateOf(m fleet.Machine) string { return cmp.Or(m.State, StateDir) }

// digest tells one version of a part from another.
func (p Part) digest() string {
	var b strings.Builder
	for _, f := range p.Files {
		fmt.Fprintf(&b, "%s %o\n%s\n", f.Path, f.Mode, f.Text)
	}
	return textDigest(b.String())
}

// writtenBy stands in every file of ours that may be taken for somebody else's.
const writtenBy = "Written by fleetctl."

// written is the comment at the head of what fleetctl writes.
const written = "# " + writtenBy + " What is changed here is overwritten.\n"

// firewall is the second fence, behind the provider's. It is a table of its own, loaded
// by a unit of its own: the rules of others stay as they are.
func (s *System) firewall(m fleet.Machine) Part {
	relay := s.relay
	relay.Port, relay.WSPort = bound(m.Bind.TCP, m.Ports.TCP, relay.Port), bound(m.Bind.WS, m.Ports.WS, relay.WSPort)
	relay.QUICPort = bound(m.Bind.QUIC, m.Ports.QUIC, relay.QUICPort)
	open := make(map[string][]int)
	for _, o := range fleet.Openings(fleet.Spec{Relay: relay}, m.Ports.SSH) {
		open[o.Protocol] = append(open[o.Protocol], o.Port)
	}
	tcp, udp := ports(open["tcp"]...), ports(open["udp"]...)
	says := "tcp " + tcp
	if udp != "" {
		says += ", udp " + udp
	}
	return Part{
		Name: PartFirewall, Says: says, Fix: fleet.FixInPlace, Needs: "nftables",
		Files: []File{{FirewallRules, 0o644, firewallRules(tcp, udp)}, {firewallUnitFile, 0o644, firewallUnitText}},
		Apply: []sshx.Command{
			write("/usr/sbin/nft", "-c", "-f", FirewallRules),
			daemonReload(), write("systemctl", "enable", FirewallUnit), write("systemctl", "reload-or-restart", FirewallUnit),
		},
	}
}

// bound is the port on which a transport is listened for: the box's own where that
// differs from what clients dial.
func bound(bind, dialed, spec int) int { return cmp.Or(bind, dialed, spec) }

// ports writes a set for nft: sorted, each once, without zeros. None is "".
func ports(all ...int) string {
	slices.Sort(all)
	var out []string
	for _, p := range slices.Compact(all) {
		if p != 0 {
			out = append(out, fmt.Sprint(p))
		}
	}
	return strings.Join(out, ", ")
}

// firewallRules replaces the table in one step, whether it was there or not.
func firewallRules(tcp, udp string) string {
	var b strings.Builder
	b.WriteString("#!/usr/sbin/nft -f\n" + written + `table inet fleetctl
delete table inet fleetctl
table inet fleetctl {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		ct state established,related accept
		ct state invalid drop
		meta l4proto { icmp, ipv6-icmp } accept
		ip6 saddr fe80::/10 udp dport 546 accept
`)
	b.WriteString("\t\ttcp dport { " + tcp + " } accept\n")
	if udp != "" {
		b.WriteString("\t\tudp dport { " + udp + " } accept\n")
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

const firewallUnitText = written + `[Unit]
Description=Second fence of a relay's machine
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f ` + FirewallRules + `
ExecReload=/usr/sbin/nft -f ` + FirewallRules + `
ExecStop=/usr/sbin/nft delete table inet fleetctl

[Install]
WantedBy=sysinit.target
`

// sshd lets nobody in by password. Its name sorts before cloud-init's: the first value
// that sshd reads counts.
func sshd() Part {
	return Part{
		Name: PartSSHD, Says: "keys only", Fix: fleet.FixInPlace,
		Files: []File{{sshdDropIn, 0o644, written + `PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitRootLogin prohibit-password
X11Forwarding no
UseDNS no
MaxStartups 100:30:200
`}},
		Apply: []sshx.Command{checkSSHD(), reloadSSHD()},
	}
}

func journald() Part {
	return Part{
		Name: PartJournal, Says: "kept over reboots, at most 200 MiB", Fix: fleet.FixInPlace,
		Files: []File{{journaldDropIn, 0o644, written + `[Journal]
Storage=persistent
SystemMaxUse=200M
RuntimeMaxUse=32M
MaxRetentionSec=3month
`}},
		Apply: []sshx.Command{write("systemctl", "restart", "systemd-journald.service")},
	}
}

// sysctl lets QUIC have the buffers that it asks for without CAP_NET_ADMIN. A key that
// this kernel, or a container, does not have is passed over.
func sysctl() Part {
	return Part{
		Name: PartSysctl, Says: "socket buffers of 7.5 MB", Fix: fleet.FixInPlace,
		Files: []File{{sysctlFile, 0o644, written + "net.core.rmem_max = 7500000\nnet.core.wmem_max = 7500000\n"}},
		Apply: []sshx.Command{write("/usr/sbin/sysctl", "-e", "-p", sysctlFile)},
	}
}

// upgrades are the security updates that Debian's package allows by default. Nothing
// restarts the machine: what needs a reboot waits for its operator.
func upgrades() Part {
	return Part{
		Name: PartUpgrades, Says: "security updates daily", Fix: fleet.FixInPlace, Needs: "unattended-upgrades",
		Files: []File{{upgradesFile, 0o644, `// Written by fleetctl. What is changed here is overwritten.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
Unattended-Upgrade::Automatic-Reboot "false";
`}},
	}
}

// own is the path of a file of the state directory, named by its path in the default one.
func own(m fleet.Machine, file string) string { return path.Join(stateOf(m), path.Base(file)) }
