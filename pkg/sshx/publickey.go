package sshx

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ErrPrivateKey means that what was given as a public key is a private one. Nothing of it is in the error.
var ErrPrivateKey = errors.New("this is a private key; its public half is wanted")

// maxComment is how much of a key's comment is kept, in bytes.
const maxComment = 100

// PublicKey reads the one public key in a text, in authorized_keys form, and returns it as such
// a line without options: what it may do is not the key's business. A private key is
// [ErrPrivateKey].
func PublicKey(text []byte) (string, error) {
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		return "", ErrPrivateKey
	}
	key, comment, _, rest, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return "", errors.New("no public key")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return "", errors.New("more than one key")
	}
	comment = strings.ToValidUTF8(comment[:min(len(comment), maxComment)], "")
	comment = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, comment)
	return strings.TrimSpace(AuthorizedKey(key) + " " + comment), nil
}

// Signers are the keys in those of the files that need no passphrase and that nobody else may
// read. The others are left to the agent.
func Signers(files []string) []ssh.Signer {
	var out []ssh.Signer
	for _, file := range files {
		if key, err := LoadKey(file); err == nil {
			out = append(out, key.Signer)
		}
	}
	return out
}
