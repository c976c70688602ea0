package probe

import (
	"github.com/libp2p/go-libp2p/core/protocol"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
)

type (
	protocolID = protocol.ID
	status     = pbv2.Status
)
