package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"github.com/relayfleet/fleetctl/fleet"
)

// maxRecipients bounds a file of recipients, in bytes.
const maxRecipients = 64 << 10

// errSecret is a secret where a public key was asked for. It is never printed.
var errSecret = fleet.WithHint(errors.New("this is a secret key; its public half is wanted"), "name the .pub file, or what 'age-keygen -y FILE' prints")

// ageRecipients reads recipients as --recipient takes them: an age or SSH public key, or
// a file with one on each line.
func (a *app) ageRecipients(words []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, word := range words {
		before := len(all)
		lines := word
		if !strings.HasPrefix(word, "age1") && !strings.HasPrefix(word, "ssh-") {
			if isSecret(word) {
				return nil, errSecret
			}
			text, err := a.readBounded(word, maxRecipients)
			if err != nil {
				return nil, fleet.WithHint(err, "name an age or SSH public key, or a file of them")
			}
			lines = string(text)
			if isSecret(lines) {
				return nil, fmt.Errorf("%s: %w", word, errSecret)
			}
		}
		for line := range strings.Lines(lines) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			r, err := ageRecipient(line)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		if len(all) == before {
			return nil, fmt.Errorf("%s: no key is in it", word)
		}
	}
	return all, nil
}

func isSecret(text string) bool {
	return strings.Contains(text, "PRIVATE KEY") || strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY-")
}

// ageRecipient reads one public key.
func ageRecipient(line string) (age.Recipient, error) {
	var r age.Recipient
	var err error
	switch {
	case strings.HasPrefix(line, "age1pq1"):
		r, err = age.ParseHybridRecipient(line)
	case strings.HasPrefix(line, "age1"):
		r, err = age.ParseX25519Recipient(line)
	case strings.HasPrefix(line, "ssh-"):
		r, err = agessh.ParseRecipient(line)
	default:
		err = errors.New("neither an age nor an SSH public key")
	}
	if err != nil {
		return nil, fmt.Errorf("%.24q…: %w", line, err)
	}
	return r, nil
}

// readBounded reads a file that the operator named.
func (a *app) readBounded(file string, most int64) ([]byte, error) {
	file = a.expand(file)
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > most:
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", file, most)
	}
	return os.ReadFile(file) //nolint:gosec // the operator names it
}

// askPassphrase asks for a passphrase twice.
func (a *app) askPassphrase(ctx context.Context) (age.Recipient, error) {
	first, err := a.askSecret(ctx, "Passphrase for the saved keys: ")
	if err != nil {
		return nil, err
	}
	if first == "" {
		return nil, withCode(exitRefused, errors.New("an empty passphrase protects nothing: nothing was changed"))
	}
	second, err := a.askSecret(ctx, "The same again: ")
	if err != nil {
		return nil, err
	}
	if first != second {
		return nil, withCode(exitRefused, errors.New("the two passphrases differ: nothing was changed"))
	}
	return age.NewScryptRecipient(first)
}

// createSecret writes a new file that nobody else may read, or leaves none behind.
func createSecret(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
