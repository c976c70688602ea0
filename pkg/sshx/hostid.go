package sshx

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"
)

// HostKey returns the host key that the box showed on its connection, which is made if there is none, in
// authorized_keys form. It is one of the pinned keys: the one that the box uses now.
func (c *Client) HostKey(ctx context.Context, at Target) (string, error) {
	k, _, err := c.conn(ctx, at)
	if err != nil {
		return "", err
	}
	return AuthorizedKey(k.hostKey), nil
}

// NewHostKey makes an Ed25519 host key in memory: the private half as OpenSSH PEM, the public one in
// authorized_keys form. Nothing is written.
func NewHostKey() (private []byte, public string, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("generate host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, "", fmt.Errorf("generate host key: %w", err)
	}
	wire, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, "", fmt.Errorf("generate host key: %w", err)
	}
	return pem.EncodeToMemory(block), AuthorizedKey(wire), nil
}

// Fingerprint is what OpenSSH prints for a key in authorized_keys form: "SHA256:" and 43 characters.
func Fingerprint(authorizedKey string) (string, error) {
	key, err := parseKey(authorizedKey)
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	return ssh.FingerprintSHA256(key), nil
}

var fingerprintForm = regexp.MustCompile(`^(SHA256:[A-Za-z0-9+/]{43}|(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2})$`)

// LooksLikeFingerprint reports whether a word is a fingerprint of some key, of the forms
// that IsFingerprint knows.
func LooksLikeFingerprint(word string) bool { return fingerprintForm.MatchString(word) }

// IsFingerprint reports whether a word is the fingerprint of a key in authorized_keys form:
// "SHA256:…", or MD5 with or without "MD5:", as DigitalOcean writes it.
func IsFingerprint(authorizedKey, word string) bool {
	key, err := parseKey(authorizedKey)
	return err == nil && (word == ssh.FingerprintSHA256(key) || strings.TrimPrefix(word, "MD5:") == ssh.FingerprintLegacyMD5(key))
}

// EncodeHostKeyMark makes 64 lower-case hex digits, which fit into a provider's tag, of an Ed25519
// key in authorized_keys form. A key of another type is an error.
func EncodeHostKeyMark(authorizedKey string) (string, error) {
	key, err := parseKey(authorizedKey)
	if err != nil {
		return "", fmt.Errorf("host key mark: %w", err)
	}
	held, ok := key.(ssh.CryptoPublicKey)
	if ok {
		if raw, ok := held.CryptoPublicKey().(ed25519.PublicKey); ok {
			return hex.EncodeToString(raw), nil
		}
	}
	return "", fmt.Errorf("host key mark: a key of type %s does not fit, only %s", key.Type(), ssh.KeyAlgoED25519)
}

// DecodeHostKeyMark is the key, in authorized_keys form, that EncodeHostKeyMark made a mark of.
func DecodeHostKeyMark(mark string) (string, error) {
	if !isDigest(mark) { // of the same form: 64 lower-case hex digits
		return "", fmt.Errorf("host key mark: %.80q is not 64 lower-case hex digits", mark)
	}
	raw, err := hex.DecodeString(mark)
	if err != nil {
		return "", fmt.Errorf("host key mark: %w", err)
	}
	key, err := ssh.NewPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return "", fmt.Errorf("host key mark: %w", err)
	}
	return AuthorizedKey(key), nil
}

// parseKey reads exactly one plain public key; a comment is allowed.
func parseKey(authorizedKey string) (ssh.PublicKey, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(authorizedKey))
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a public key: %w", err)
	case len(options) > 0 || len(rest) > 0:
		return nil, errors.New("not one public key without options")
	}
	if _, isCert := key.(*ssh.Certificate); isCert {
		return nil, errors.New("a certificate is not a host key")
	}
	return key, nil
}
