package host

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// keysLimit bounds one authorized_keys, in bytes.
const keysLimit = 256 << 10

// account is a user of a box.
type account struct{ name, gid, home string }

// parseAccount reads a line of passwd.
func parseAccount(line string) (account, error) {
	f := strings.Split(strings.TrimSpace(line), ":")
	if len(f) != 7 || !strings.HasPrefix(f[5], "/") || f[3] == "" || clean(f[5], 300) != f[5] {
		return account{}, fmt.Errorf("the box says %q", clean(line, 200))
	}
	return account{name: f[0], gid: f[3], home: path.Clean(f[5])}, nil
}

// keysFile is where sshd looks for the keys that let the user in.
func (a account) keysFile() string { return path.Join(a.home, ".ssh/authorized_keys") }

// readKeys reads who may log in as the box's user.
func (b box) readKeys(ctx context.Context) (account, text, error) {
	man := managerOf(b.m)
	out, err := b.exec(ctx, man.account(b.at.User))
	if err != nil {
		return account{}, text{}, fmt.Errorf("user %s: %w", b.at.User, err)
	}
	a, err := man.parseAccount(b.at.User, out)
	if err != nil {
		return account{}, text{}, err
	}
	keys, err := b.text(ctx, a.keysFile(), keysLimit)
	return a, keys, err
}

// keyOf finds the key in a line of authorized_keys, behind its options; "" if it holds none.
func keyOf(line string) string {
	words := unquotedWords(line)
	for i := range min(len(words)-1, 2) {
		switch w := words[i]; {
		case strings.HasPrefix(w, "#"):
			return ""
		case strings.HasPrefix(w, "ssh-"), strings.HasPrefix(w, "ecdsa-sha2-"), strings.HasPrefix(w, "sk-"):
			return words[i+1]
		}
	}
	return ""
}

// unquotedWords splits a line at white space outside double quotes.
func unquotedWords(line string) []string {
	quoted, escaped := false, false
	return strings.FieldsFunc(line, func(r rune) bool {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quoted:
			escaped = true
		case r == '"':
			quoted = !quoted
		default:
			return !quoted && (r == ' ' || r == '\t' || r == '\r' || r == '\n')
		}
		return false
	})
}

// missingKeys lists the wanted lines whose key is not in an authorized_keys.
func missingKeys(has string, wanted []string) []string {
	there := make(map[string]bool)
	for line := range strings.Lines(has) {
		there[keyOf(line)] = true
	}
	var missing []string
	for _, w := range wanted {
		if k := keyOf(w); k != "" && !there[k] {
			there[k] = true
			missing = append(missing, w)
		}
	}
	return missing
}

// keysOf are the lines of the keys that m lets in, each key once.
func (s *System) keysOf(m fleet.Machine) []string {
	return missingKeys("", slices.Concat(s.keys, m.Keys))
}

// withKeys adds lines at the end of an authorized_keys; all else stays as it is.
func withKeys(has string, add []string) string {
	if has != "" && !strings.HasSuffix(has, "\n") {
		has += "\n"
	}
	for _, line := range add {
		has += commentedKey(line) + "\n"
	}
	return has
}

// addKeys adds the lines whose key an authorized_keys does not hold.
func addKeys(has string, wanted []string) string {
	missing := missingKeys(has, wanted)
	if len(missing) == 0 {
		return has
	}
	return withKeys(has, missing)
}

// withoutKey drops the lines of one key. Left is how many keys remain.
func withoutKey(has, key string) (rest string, dropped, left int) {
	var b strings.Builder
	for line := range strings.Lines(has) {
		switch k := keyOf(line); k {
		case key:
			dropped++
			continue
		case "":
		default:
			left++
		}
		b.WriteString(line)
	}
	return b.String(), dropped, left
}

// keyTries is how often authorized_keys is written while somebody else writes it, too.
const keyTries = 5

// editKeys changes the authorized_keys of the box's user until change has nothing to
// change in it: what somebody else writes meanwhile is not written over but changed in
// turn. It reports whether it tried to write.
func (b box) editKeys(ctx context.Context, change func(has string) (string, error)) (tried bool, err error) {
	for range keyTries {
		a, has, err := b.authorized(ctx)
		if err != nil {
			return tried, err
		}
		want, err := change(has)
		if err != nil || want == has {
			return tried, err
		}
		tried = true
		if err := b.replaceKeys(ctx, a, has, want); err != nil {
			return tried, err
		}
	}
	return tried, fleet.WithHint(fmt.Errorf("authorized_keys: somebody else changed it %d times meanwhile", keyTries),
		"run the same command again when nobody else writes it")
}

// replaceKeys replaces the authorized_keys of a user in one step: sshd finds the old one or
// the new one, and either belongs to the user. A file that is not what it was any more is
// let be.
func (b box) replaceKeys(ctx context.Context, a account, was, body string) error {
	file, next := a.keysFile(), a.keysFile()+".fleetctl-next"
	if err := b.all(ctx, makeOwned(path.Dir(file), a.name, a.gid, "0700")); err != nil {
		return err
	}
	if err := b.run.WriteFile(ctx, b.at, next, []byte(body), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	if err := b.all(ctx, chown(a.name+":"+a.gid, next)); err != nil {
		return err
	}
	if _, has, err := b.authorized(ctx); err != nil || has != was {
		return errors.Join(err, b.run.Remove(ctx, b.at, next))
	}
	return b.all(ctx, managerOf(b.m).rename(next, file))
}

var (
	// ErrLastKey means that nobody could log in any more.
	ErrLastKey = errors.New("it is the last key that lets anybody in")
	// ErrOwnKey means that the key is the one that fleetctl itself logs in with.
	ErrOwnKey = errors.New("it is the key that fleetctl logs in with")
)

// Keys lists the lines of m's authorized_keys that hold a key, as they stand there:
// whoever prints them cleans them.
func (h *Hosts) Keys(ctx context.Context, m fleet.Machine) ([]string, error) {
	b, err := h.box(m)
	if err != nil {
		return nil, err
	}
	_, keys, err := b.authorized(ctx)
	if err != nil {
		return nil, err
	}
	list := []string{}
	for line := range strings.Lines(keys) {
		if keyOf(line) != "" {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list, nil
}

// authorized is the authorized_keys of the box's user, and who that is.
func (b box) authorized(ctx context.Context) (account, string, error) {
	a, keys, err := b.readKeys(ctx)
	if err == nil && keys.warning != "" {
		err = errors.New(keys.warning)
	}
	return a, keys.body, err
}

// AddKey lets a key in; one that is there is left alone.
func (h *Hosts) AddKey(ctx context.Context, m fleet.Machine, key string) error {
	print, err := sshx.Fingerprint(key)
	if err != nil {
		return fmt.Errorf("add SSH key: %w", err)
	}
	b, err := h.box(m)
	if err != nil {
		return err
	}
	tried, err := b.editKeys(ctx, func(has string) (string, error) {
		return addKeys(has, []string{key}), nil
	})
	if tried {
		b.audit(ctx, "add SSH key "+print, err)
	}
	return err
}

// RemoveKey takes a key out; one that is not there is left alone. The key that fleetctl
// logs in with, given as mine, is ErrOwnKey, and the last one ErrLastKey. Comments,
// options and the order of the others stay.
func (h *Hosts) RemoveKey(ctx context.Context, m fleet.Machine, key, mine string) error {
	print, err := sshx.Fingerprint(key)
	if err != nil {
		return fmt.Errorf("remove SSH key: %w", err)
	}
	if keyOf(key) == keyOf(mine) {
		return fmt.Errorf("remove SSH key %s: %w", print, ErrOwnKey)
	}
	b, err := h.box(m)
	if err != nil {
		return err
	}
	tried, err := b.editKeys(ctx, func(has string) (string, error) {
		rest, dropped, left := withoutKey(has, keyOf(key))
		if dropped > 0 && left == 0 {
			return has, fmt.Errorf("remove SSH key %s from %s: %w", print, m.Node, ErrLastKey)
		}
		return rest, nil
	})
	if tried {
		b.audit(ctx, "remove SSH key "+print, err)
	}
	if err == nil && m.Given && !m.Adopted && b.cfg.System != nil {
		err = b.forgetKeys(ctx, []string{keyOf(key)})
	}
	return err
}
