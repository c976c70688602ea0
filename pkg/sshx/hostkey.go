package sshx

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- the known_hosts format hashes names with it
	"crypto/subtle"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// hostCheck decides about the host key of one dial.
type hostCheck struct {
	callback ssh.HostKeyCallback
	// algorithms starts with those of the pinned keys, so that a box with several keys shows
	// the pinned one. The others follow, so that a box that lost it can be named.
	algorithms []string

	mu  sync.Mutex
	key ssh.PublicKey // that was accepted
	err error
}

// shown is the key that was accepted.
func (h *hostCheck) shown() ssh.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.key
}

// refused is why the key was not accepted; nil if it was, or none was shown.
func (h *hostCheck) refused() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// checker prepares the check of a box's host key; ErrNoPin where nothing is pinned.
func (p *Pins) checker(at Target) (*hostCheck, error) {
	keys, check, err := p.keys(at.Addr)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, &NoPinError{Node: at.Name, Addr: at.Addr, File: p.path}
	}
	want := make([]string, 0, len(keys))
	var algorithms []string
	for _, k := range keys {
		want = append(want, ssh.FingerprintSHA256(k))
		algorithms = append(algorithms, keyAlgorithms(k.Type())...)
	}
	for _, a := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} {
		if !slices.Contains(algorithms, a) {
			algorithms = append(algorithms, a)
		}
	}
	h := &hostCheck{algorithms: algorithms}
	h.callback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		// The address is the one that was asked for, never the one that answered.
		err := check(at.Addr, anyRemote, key)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			h.key = key
			return nil
		}
		h.err = &HostKeyMismatchError{Node: at.Name, Addr: at.Addr, File: p.path, Want: want, Got: ssh.FingerprintSHA256(key)}
		return h.err
	}
	return h, nil
}

// keyAlgorithms are the signature algorithms of a type of key, without SHA-1.
func keyAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// hashedIs says whether a hashed host of a known_hosts line ("|1|salt|hash") is this one.
func hashedIs(hashed, host string) bool {
	parts := strings.Split(hashed, "|")
	if len(parts) != 4 || parts[0] != "" || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return subtle.ConstantTimeCompare(mac.Sum(nil), want) == 1
}
