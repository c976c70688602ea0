package relay

import (
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/stats"
)

// What peers say of themselves becomes keys of reports and cells of tables: it is bounded
// here to words of letters, digits and a few signs.

const (
	maxWordBytes  = 64
	unknownWord   = "unknown"
	agentNameSign = "._-"
	versionSign   = "._-+"
)

// word is the text where it is one, and "unknown" otherwise.
func word(text, signs string) string {
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(signs, r)
	}
	if text == "" || len(text) > maxWordBytes || strings.ContainsFunc(text, odd) {
		return unknownWord
	}
	return text
}

// tierOf reads the tier from the third field of an agent string.
func tierOf(agent string) string {
	fields := strings.SplitN(agent, "/", 4)
	if len(fields) < 3 {
		return unknownWord
	}
	return tierWord(fields[2])
}

func tierWord(text string) string { return word(text, agentNameSign) }

// programOf reads name and version, the first two fields of an agent string.
func programOf(agent string) (name, version string) {
	name, rest, _ := strings.Cut(agent, "/")
	version, _, _ = strings.Cut(rest, "/")
	return word(name, agentNameSign), word(version, versionSign)
}

// agentWord is "name/version", "" where neither is known.
func agentWord(agent string) string {
	name, version := programOf(agent)
	if name == unknownWord && version == unknownWord {
		return ""
	}
	return name + "/" + version
}

func addressWord(text string) string {
	if slices.Contains(stats.AddressTypes(), text) {
		return text
	}
	return "other"
}

// transportWord is "" where the transport is not known.
func transportWord(text string) string {
	switch text {
	case "", "tcp", "quic-v1", "ws":
		return text
	}
	return "other"
}

// transportKind classes the address that a peer came from by its transport.
func transportKind(addr ma.Multiaddr) string {
	kind := "other"
	for _, c := range addr {
		switch c.Protocol().Code {
		case ma.P_TCP:
			kind = "tcp"
		case ma.P_WS, ma.P_WSS:
			kind = "ws"
		case ma.P_QUIC_V1:
			kind = "quic-v1"
		case ma.P_WEBTRANSPORT, ma.P_WEBRTC_DIRECT, ma.P_CIRCUIT:
			return "other"
		}
	}
	return kind
}

// familyOf is the address family in a kind of address.
func familyOf(addrType string) string {
	family, _, _ := strings.Cut(addrType, "_")
	return family
}
