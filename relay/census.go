package relay

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/relayfleet/fleetctl/stats"
)

const (
	maxCensusBytes   = 128 << 20
	maxCensusEntries = 250_000 // then the longest unseen is forgotten first
	maxKeyRawBytes   = 2048    // an RSA key of 8192 bits is smaller
)

// parseCensus reads the text of bootnode-peers.json. A text that is no array is an
// error. Entries that make no sense are left out, and so is what is broken or cut off;
// the first reason is returned beside the rest, so that the caller sets the original aside.
func parseCensus(text []byte, now time.Time) (entries []tracked, bad error, err error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil || raw == nil {
		return salvage(text, err, now)
	}
	count := 0
	for i, one := range raw {
		var e tracked
		err := json.Unmarshal(one, &e)
		if err == nil {
			err = checkEntry(&e.CensusEntry, now)
		}
		if err == nil && e.IsProbe() {
			continue // a daemon of old took it for a user
		}
		if err != nil {
			if count++; count == 1 {
				bad = fmt.Errorf("entry %d: %w", i, err)
			}
			continue
		}
		entries = append(entries, e)
	}
	if count > 1 {
		bad = fmt.Errorf("%d of %d entries, first %w", count, len(raw), bad)
	}
	return entries, bad, nil
}

// salvage is parseCensus of a text that is no JSON, for the reason given: entries are
// looked for one by one.
func salvage(text []byte, reason error, now time.Time) (entries []tracked, bad error, err error) {
	found, err := stats.ParseRegistry(bytes.NewReader(text), now)
	if found == nil {
		return nil, nil, cmp.Or(err, reason)
	}
	for _, e := range found {
		if checkEntry(&e, now) == nil && !e.IsProbe() {
			entries = append(entries, tracked{CensusEntry: e})
		}
	}
	return entries, fmt.Errorf("%w; %d entries could be read", cmp.Or(err, reason), len(entries)), nil
}

// checkEntry refuses what no relay would have written, and brings the rest into
// shape: times are not in the future and in order, tiers are short words.
func checkEntry(e *stats.CensusEntry, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(e.PeerPubkey)
	if err != nil || len(key) == 0 || len(key) > maxKeyRawBytes {
		return errors.New("peer_pubkey is no public key in base64")
	}
	if e.LastPeerID != "" {
		if _, err := peer.Decode(e.LastPeerID); err != nil {
			return errors.New("last_peer_id is no peer ID")
		}
	}
	if e.FirstSeenAt < 0 || e.LastSeenAt < 0 {
		return errors.New("a time before 1970")
	}
	e.LastSeenAt = min(e.LastSeenAt, now.Unix())
	e.FirstSeenAt = min(e.FirstSeenAt, e.LastSeenAt)
	e.Tier = tierWord(e.Tier)
	e.AddressType = addressWord(e.AddressType)
	e.Transport = transportWord(e.Transport)
	e.Agent = agentWord(e.Agent)
	return nil
}

// strip leaves out what belongs to the relay that wrote the entries.
func strip(entries []tracked) []stats.CensusEntry {
	list := make([]stats.CensusEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e.CensusEntry)
	}
	return list
}

// addressKind classes the address that a peer came from.
func addressKind(addr ma.Multiaddr) string {
	if len(addr) == 0 {
		return "other"
	}
	if _, err := addr.ValueForProtocol(ma.P_CIRCUIT); err == nil {
		return "relay"
	}
	switch addr[0].Protocol().Code {
	case ma.P_IP4:
		if manet.IsPublicAddr(addr) {
			return "ipv4_public"
		}
		return "ipv4_private"
	case ma.P_IP6, ma.P_IP6ZONE:
		return "ipv6"
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return "dns"
	}
	return "other"
}

// publicKey is a peer's key as the census names it: raw bytes in base64.
func publicKey(p peer.ID, seen crypto.PubKey) (string, error) {
	if seen == nil {
		key, err := p.ExtractPublicKey()
		if err != nil {
			return "", err
		}
		seen = key
	}
	raw, err := seen.Raw()
	if err != nil {
		return "", err
	}
	if len(raw) > maxKeyRawBytes {
		return "", fmt.Errorf("public key of %d bytes", len(raw))
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}
