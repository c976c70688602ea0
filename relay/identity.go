package relay

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// maxKeyBytes bounds node.key and peer-id.txt.
const maxKeyBytes = 4096

// Identity is who a relay is.
type Identity struct {
	ID  peer.ID
	key crypto.PrivKey
}

// LoadIdentity reads <dir>/node.key and creates nothing. Without the file it
// returns ErrNoIdentity; with a damaged one, or one that does not belong to
// peer-id.txt, an error with a hint. A key that others may read is tightened to 0600.
func LoadIdentity(dir string) (Identity, error) {
	path := filepath.Join(dir, keyFile)
	text, err := readBounded(path, maxKeyBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, lostIdentity(dir)
	}
	if err != nil {
		return Identity{}, hint(fmt.Errorf("identity: %w", err), "let the relay's user read node.key, and put it back from a backup if it is damaged")
	}
	seed, err := parseKey(text)
	if err != nil {
		return Identity{}, hint(fmt.Errorf("identity: %s: %w", path, err),
			"put node.key back from a backup; only if there is none, remove node.key and peer-id.txt to start as a new peer")
	}
	id, err := newIdentity(seed)
	if err != nil {
		return Identity{}, err
	}
	if err := matchesPeerID(dir, id.ID); err != nil {
		return Identity{}, err
	}
	return id, tighten(path)
}

// CreateIdentity makes a new identity in a directory that has none, and returns
// the one that is there otherwise. It never replaces one that was lost.
func CreateIdentity(dir string) (Identity, error) {
	if err := stateDir(dir); err != nil {
		return Identity{}, err
	}
	id, err := LoadIdentity(dir)
	var lost *HintError
	if errors.Is(err, ErrNoIdentity) && !errors.As(err, &lost) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails
		err = createFile(filepath.Join(dir, keyFile), seed)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return Identity{}, fmt.Errorf("identity: create: %w", err)
		}
		id, err = LoadIdentity(dir)
	}
	if err != nil {
		return Identity{}, err
	}
	return id, id.publish(dir)
}

// publish writes node.pub and peer-id.txt where they are missing or differ.
func (id Identity) publish(dir string) error {
	public, err := id.key.GetPublic().Raw()
	if err != nil {
		return fmt.Errorf("identity: public key: %w", err)
	}
	for name, text := range map[string]string{pubFile: string(public), peerIDFile: id.ID.String() + "\n"} {
		path := filepath.Join(dir, name)
		if got, err := readBounded(path, maxKeyBytes); err == nil && string(got) == text {
			continue
		}
		if err := replaceFile(path, []byte(text)); err != nil {
			return fmt.Errorf("identity: %s: %w", name, err)
		}
	}
	return nil
}

// lostIdentity tells a directory that never had a key from one that lost it.
func lostIdentity(dir string) error {
	path := filepath.Join(dir, peerIDFile)
	if !exists(path) {
		return fmt.Errorf("identity: %s: %w", filepath.Join(dir, keyFile), ErrNoIdentity)
	}
	was := "unreadable"
	if text, err := readBounded(path, maxKeyBytes); err == nil {
		was = strings.TrimSpace(string(text))
	}
	return hint(fmt.Errorf("identity: %s is gone, peer-id.txt says %.100q: %w", filepath.Join(dir, keyFile), was, ErrNoIdentity),
		"put node.key back from a backup; only if there is none, remove peer-id.txt to start as a new peer")
}

// matchesPeerID compares the key with peer-id.txt. A missing file is no mismatch.
func matchesPeerID(dir string, id peer.ID) error {
	text, err := readBounded(filepath.Join(dir, peerIDFile), maxKeyBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	was := strings.TrimSpace(string(text))
	if was == id.String() || was == "" {
		return nil
	}
	return hint(fmt.Errorf("identity: node.key is the key of %s, peer-id.txt says %.100q", id, was),
		"put the right node.key back from a backup, or remove peer-id.txt to accept the new identity")
}

// tighten takes group and others out of a file's permissions.
func tighten(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return hint(fmt.Errorf("identity: tighten: %w", err), "run `chmod 600 "+path+"` as its owner")
	}
	return nil
}

// newIdentity derives the peer ID from a 32-byte seed.
func newIdentity(seed []byte) (Identity, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return Identity{}, fmt.Errorf("identity: %w", err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return Identity{}, fmt.Errorf("identity: %w", err)
	}
	return Identity{ID: id, key: key}, nil
}

// parseKey takes the text of node.key, a raw 32-byte seed or PKCS#8 PEM with an
// Ed25519 key, and returns the seed.
func parseKey(text []byte) ([]byte, error) {
	if block, rest := pem.Decode(text); block != nil {
		if block.Type != "PRIVATE KEY" {
			return nil, fmt.Errorf("PEM block %.40q: accepted is PKCS#8 %q", block.Type, "PRIVATE KEY")
		}
		if len(strings.TrimSpace(string(rest))) > 0 {
			return nil, errors.New("text behind the PEM block")
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("%T: accepted is an Ed25519 key", parsed)
		}
		return key.Seed(), nil
	}
	if len(text) != ed25519.SeedSize {
		return nil, fmt.Errorf("%d bytes: accepted are a raw %d-byte Ed25519 seed and PKCS#8 PEM", len(text), ed25519.SeedSize)
	}
	if len(strings.Trim(string(text), "\x00")) == 0 {
		return nil, errors.New("nothing but zeros")
	}
	return text, nil
}
