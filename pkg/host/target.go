package host

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// sshPort is where an SSH server answers that nobody has moved.
const sshPort = "22"

// Target is where the SSH server of m answers, and how it is reached.
func Target(m fleet.Machine) (sshx.Target, error) {
	if len(m.Addrs) == 0 {
		return sshx.Target{}, errors.New("the provider lists no address of the machine")
	}
	port := sshPort
	if m.Ports.SSH != 0 {
		port = strconv.Itoa(m.Ports.SSH)
	}
	return sshx.Target{
		Name: m.Node, Addr: net.JoinHostPort(m.Addrs[0].String(), port), User: m.User,
		Sudo: m.Sudo, KeyFile: m.Key, Jump: jump(m),
	}, nil
}

// jump is the host through which m is reached, nil if it is reached directly. It is
// logged into with the machine's own key, and as its user where it names none.
func jump(m fleet.Machine) *sshx.Target {
	if m.Jump == "" {
		return nil
	}
	user, where, named := strings.Cut(m.Jump, "@")
	if !named {
		user, where = m.User, m.Jump
	}
	host, port, err := net.SplitHostPort(where)
	if err != nil {
		host, port = where, sshPort
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		host = ip.String()
	}
	return &sshx.Target{Name: "jump host of " + m.Node, Addr: net.JoinHostPort(strings.ToLower(host), port), User: user, KeyFile: m.Key}
}
