package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// fingerprint is a key's name at a provider: SHA-256, or MD5 as DigitalOcean writes it.
var fingerprint = regexp.MustCompile(`^(SHA256:[A-Za-z0-9+/]{43}|([0-9a-f]{2}:){15}[0-9a-f]{2})$`)

// maxKeyFile is far above any public key, in bytes.
const maxKeyFile = 64 << 10

// operatorKeys are the public keys that the spec gives to every box, authorized_keys form
// with their comments, and the private key files beside them. Fingerprints of keys on the
// provider's account are left to the provider.
func (a *app) operatorKeys(s fleet.Spec) (public, private []string, err error) {
	for i, entry := range s.Ocean.SSHKeys {
		if fingerprint.MatchString(entry) {
			continue
		}
		text := []byte(entry)
		_, _, _, _, parseErr := ssh.ParseAuthorizedKey(text)
		if parseErr != nil {
			path := a.expand(entry)
			if text, err = readKeyFile(path); err != nil {
				return nil, nil, keyError(i, entry, err)
			}
			if beside, isPub := strings.CutSuffix(path, ".pub"); isPub {
				private = append(private, beside)
			}
		}
		line, err := publicKey(text)
		if err != nil {
			return nil, nil, keyError(i, entry, err)
		}
		if !slices.Contains(public, line) {
			public = append(public, line)
		}
	}
	return public, private, nil
}

func keyError(i int, entry string, err error) error {
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

// errPrivate: what was given as a public key is a private one. Nothing of it is shown.
var errPrivate = errors.New("this is a private key; its public half is wanted")

// publicKey is the one key in a text, as a line of authorized_keys.
func publicKey(text []byte) (string, error) {
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		return "", errPrivate
	}
	key, comment, _, rest, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return "", errors.New("no public key")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return "", errors.New("more than one key")
	}
	return strings.TrimSpace(sshx.AuthorizedKey(key) + " " + render.SafeUpTo(comment, 100)), nil
}

// signers are the keys in private key files that need no passphrase and that nobody else
// may read; the others are left to the agent.
func signers(files []string) []ssh.Signer {
	var out []ssh.Signer
	for _, file := range files {
		if key, err := sshx.LoadKey(file); err == nil {
			out = append(out, key.Signer)
		}
	}
	return out
}
