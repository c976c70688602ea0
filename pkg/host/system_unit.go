package host

import (
	"fmt"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// unitHead and the rest of the unit work on systemd 252 (Debian 12) and later. A growing
// pause between restarts (RestartSteps) needs 254, and 252 warns of it: the pause is
// constant, and StartLimitIntervalSec=0 keeps it from ever giving up.
const unitHead = written + `[Unit]
Description=libp2p relay
Wants=network-online.target
After=network-online.target nss-lookup.target
StartLimitIntervalSec=0

[Service]
Type=notify
User=` + User + `
Group=` + User + `
ExecStart=` + Binary + ` run --config ` + ConfigFile + `
Restart=always
RestartSec=5s
WatchdogSec=30s
TimeoutStartSec=60s
TimeoutStopSec=30s
UMask=0077
`

const unitFence = `
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
IPAddressDeny=169.254.169.254
`

// unit is the service of the relay. A port below 1024 is bound by that one capability;
// otherwise the process has none.
func (s *System) unit(m fleet.Machine) Part {
	l := s.relay.Limits
	var b strings.Builder
	b.WriteString(unitHead)
	if l.ProcessMemory > 0 {
		fmt.Fprintf(&b, "MemoryMax=%d\nMemorySwapMax=0\n", l.ProcessMemory)
	}
	if l.OpenFiles > 0 {
		fmt.Fprintf(&b, "LimitNOFILE=%d\n", l.OpenFiles)
	}
	b.WriteString(stateLines(stateOf(m)))
	if s.privileged(m) {
		b.WriteString("AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE")
	} else {
		b.WriteString("AmbientCapabilities=\nCapabilityBoundingSet=")
	}
	b.WriteString(unitFence + "\n[Install]\nWantedBy=multi-user.target\n")
	return Part{
		Name: PartUnit, Says: fmt.Sprintf("hardened, at most %d MiB and %d files", l.ProcessMemory>>20, l.OpenFiles),
		Fix: fleet.FixRestart, Files: []File{{UnitFile, 0o644, b.String()}},
	}
}

// stateLines let the service write its state and nothing else.
func stateLines(dir string) string {
	const home = "ProtectHome=yes\n"
	switch {
	case dir == StateDir:
		return "StateDirectory=relay\nStateDirectoryMode=0700\n" + home
	case strings.HasPrefix(dir, "/home/"), strings.HasPrefix(dir, "/root/"), strings.HasPrefix(dir, "/run/user/"):
		return "BindPaths=" + unitPath(dir) + "\nProtectHome=tmpfs\n"
	}
	return "ReadWritePaths=" + unitPath(dir) + "\n" + home
}

// unitPath writes a path as a unit file holds it.
func unitPath(dir string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(dir)
	if strings.ContainsAny(dir, " \t\"'\\:") {
		quoted = `"` + strings.ReplaceAll(quoted, ":", `\:`) + `"`
	}
	return quoted
}

// privileged reports whether the relay listens on a port that needs a capability.
func (s *System) privileged(m fleet.Machine) bool {
	for _, p := range []int{
		bound(m.Bind.TCP, m.Ports.TCP, s.relay.Port), bound(m.Bind.QUIC, m.Ports.QUIC, s.relay.QUICPort),
		bound(m.Bind.WS, m.Ports.WS, s.relay.WSPort),
	} {
		if p > 0 && p < 1024 {
			return true
		}
	}
	return false
}
