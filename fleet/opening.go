package fleet

import (
	"cmp"
	"fmt"
	"slices"
)

// Opening is a port that the fleet's firewalls let in; everything else, the daemon's API
// above all, they do not.
type Opening struct {
	Protocol string // "tcp", "udp" or "icmp"
	Port     int    // 0 for icmp
}

func (o Opening) String() string {
	if o.Port == 0 {
		return o.Protocol
	}
	return fmt.Sprintf("%s %d", o.Protocol, o.Port)
}

// wssPort is open on every box, served or not: clients in the field try it.
const wssPort = 443

// Openings lists what the firewalls of a fleet let in, over IPv4 and IPv6 and from
// everywhere: SSH, the relay's transports and ICMP. The firewall of the provider and the
// one on the box are made from it; they come sorted and each once.
func Openings(s Spec, sshPort int) []Opening {
	all := []Opening{
		{"tcp", cmp.Or(sshPort, 22)}, {"tcp", s.Relay.Port}, {"tcp", wssPort}, {"tcp", s.Relay.WSPort},
		{"udp", s.Relay.QUICPort},
	}
	all = slices.DeleteFunc(all, func(o Opening) bool { return o.Port == 0 })
	slices.SortFunc(all, func(a, b Opening) int { return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Port-b.Port) })
	return append([]Opening{{Protocol: "icmp"}}, slices.Compact(all)...)
}
