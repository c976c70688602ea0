package sshx

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a client key that GenerateKey made or LoadKey read.
type Key struct {
	// PublicKey is in authorized_keys form, without a comment and without a newline.
	PublicKey string
	Signer    ssh.Signer
}

// GenerateKey makes an Ed25519 key and writes it to path in OpenSSH form, 0600, synced and
// whole or not at all. A file that is there already is an error that is fs.ErrExist.
func GenerateKey(path string) (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	if err := createAtomic(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	return newKey(s), nil
}

// LoadKey reads an unprotected private key that nobody else may read.
func LoadKey(path string) (Key, error) {
	raw, err := readPrivate(path)
	if err != nil {
		return Key{}, err
	}
	s, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return Key{}, &AuthError{Err: fmt.Errorf("%s: %w", path, err)}
	}
	return newKey(s), nil
}

func newKey(s ssh.Signer) Key {
	return Key{PublicKey: AuthorizedKey(s.PublicKey()), Signer: s}
}

// AuthorizedKey is a public key in authorized_keys form, without a comment and without a newline.
func AuthorizedKey(k ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}
