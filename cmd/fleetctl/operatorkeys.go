package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// maxKeyFile is far above any public key, in bytes.
const maxKeyFile = 64 << 10

// operatorKeys are the public keys that the spec gives to every box, authorized_keys form
// with their comments, and the private key files beside them. Fingerprints of keys on the
// provider's account are left to the provider.
func (a *app) operatorKeys(s fleet.Spec) (public, private []string, err error) {
	for i, entry := range s.Ocean.SSHKeys {
		if sshx.LooksLikeFingerprint(entry) {
			continue
		}
		line, err := sshx.PublicKey([]byte(entry))
		if err != nil && !errors.Is(err, sshx.ErrPrivateKey) {
			path := a.expand(entry)
			var text []byte
			if text, err = readKeyFile(path); err == nil {
				line, err = sshx.PublicKey(text)
			}
			if beside, isPub := strings.CutSuffix(path, ".pub"); isPub {
				private = append(private, beside)
			}
		}
		if err != nil {
			return nil, nil, keyError(i, entry, err)
		}
		if !slices.Contains(public, line) {
			public = append(public, line)
		}
	}
	return public, private, nil
}

// keyError names an entry, unless that is a private key itself.
func keyError(i int, entry string, err error) error {
	if _, is := sshx.PublicKey([]byte(entry)); errors.Is(is, sshx.ErrPrivateKey) {
		entry = "(not shown)"
	}
	return fleet.WithHint(fmt.Errorf("digitalocean.ssh_keys[%d]: %s: %w", i, render.SafeUpTo(entry, 80), err),
		"name a .pub file, a public key, or the fingerprint of a key on the account")
}

// expand makes a path that the operator wrote absolute; ~ is the home directory.
func (a *app) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(a.getenv("HOME"), rest)
	}
	return a.abs(path)
}

func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("no such file")
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, errors.New("not a public key file")
	}
	return os.ReadFile(path) //nolint:gosec // the operator names it
}
