package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/multiformats/go-multiaddr"
)

// peerIDOf is the peer ID that a relay's key file stands for: 32 bytes of an Ed25519
// seed, or PKCS#8 PEM. Errors never quote the file.
func peerIDOf(key []byte) (string, error) {
	seed := key
	if block, rest := pem.Decode(key); block != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, ok := parsed.(ed25519.PrivateKey)
		if err != nil || !ok || strings.TrimSpace(string(rest)) != "" {
			return "", errors.New("the PEM text is no Ed25519 key")
		}
		seed = private.Seed()
	}
	if len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("%d bytes are no Ed25519 key", len(seed))
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("the key has no Ed25519 public half")
	}
	return publicPeerID(public)
}

// publicPeerID is the text of a peer ID: base58 of the identity multihash of libp2p's
// protobuf form of the key.
func publicPeerID(public ed25519.PublicKey) (string, error) {
	const (
		ed25519Type  = 1    // libp2p's KeyType
		identityHash = 0x00 // the multihash that holds its text as it is
	)
	message := append([]byte{0x08, ed25519Type, 0x12, byte(len(public))}, public...)
	id := append([]byte{identityHash, byte(len(message))}, message...)
	// /p2p/ID in binary: its code 421 as a varint, the length, the ID.
	addr, err := multiaddr.NewMultiaddrBytes(append([]byte{0xa5, 0x03, byte(len(id))}, id...))
	if err != nil {
		return "", fmt.Errorf("peer ID: %w", err)
	}
	return addr.ValueForProtocol(multiaddr.P_P2P)
}
