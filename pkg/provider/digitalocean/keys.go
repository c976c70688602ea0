package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/digitalocean/godo"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// EnsureKey registers public SSH keys on the account, as fleetctl-<fleet>: the given one
// and those of [Config].Keys. One that the account has already is used as it is, whatever
// its name. Those that the spec names by fingerprint must be there. New droplets know them
// all; droplets that are there are not changed: see [fleet.Machine].Keys.
func (p *Provider) EnsureKey(ctx context.Context, authorizedKey string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ensure key: %w", err)
	}
	for _, line := range append([]string{authorizedKey}, p.cfg.Keys...) {
		if err := p.ensureKey(ctx, line); err != nil {
			return fmt.Errorf("ensure key: %w", err)
		}
	}
	if err := p.namedKeys(ctx); err != nil {
		return fmt.Errorf("ensure key: %w", err)
	}
	return nil
}

// ensureKey registers one key. Its fingerprint is what says whether it is there.
func (p *Provider) ensureKey(ctx context.Context, line string) error {
	public, err := plainKey(line)
	if err != nil {
		return err
	}
	fingerprint := ssh.FingerprintLegacyMD5(public)
	if p.knows(fingerprint) {
		return nil
	}
	if there, err := p.findKey(ctx, fingerprint); err != nil || there {
		return err
	}
	plain := sshx.AuthorizedKey(public) // without the comment, which may hold anything
	err = p.again(ctx, func(ctx context.Context) error {
		made, _, err := do(ctx, p, func(ctx context.Context) (*godo.Key, *godo.Response, error) {
			return p.api.Keys.Create(ctx, &godo.KeyCreateRequest{Name: p.firewallName(), PublicKey: plain})
		})
		if err == nil && made != nil && made.ID != 0 {
			p.knowKey(fingerprint, accountKey{made.ID, plain})
			return nil
		}
		if there, lookErr := p.findKey(ctx, fingerprint); lookErr == nil && there {
			return nil // made by the request that was not answered, or by somebody else
		}
		if err == nil {
			err = errors.New("the API's answer names no key")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("register key %s: %w", fingerprint, err)
	}
	return nil
}

// plainKey reads a public key that has no options.
func plainKey(line string) (ssh.PublicKey, error) {
	public, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 {
		return nil, fleet.WithHint(errors.New("not a public key in the form of authorized_keys"), "give the file that ends in .pub")
	}
	return public, nil
}

// findKey looks a key up by its fingerprint. The list of all keys is not used for that:
// it may be read ten times a minute only.
func (p *Provider) findKey(ctx context.Context, fingerprint string) (bool, error) {
	k, _, err := do(ctx, p, func(ctx context.Context) (*godo.Key, *godo.Response, error) {
		return p.api.Keys.GetByFingerprint(ctx, fingerprint)
	})
	switch {
	case is(err, http.StatusNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read key %s: %w", fingerprint, err)
	case k == nil || k.ID == 0:
		return false, errors.New("the API's answer names no key")
	}
	line, err := lineOf(*k)
	if err != nil || !sshx.IsFingerprint(line, fingerprint) {
		return false, fmt.Errorf("key %s: the account holds another key under this fingerprint", fingerprint)
	}
	p.knowKey(fingerprint, accountKey{k.ID, line})
	return true, nil
}

// mostKeyText is far above any public key, in bytes.
const mostKeyText = 16 << 10

// lineOf is a key of the account as a line of authorized_keys: one key without options, its
// comment without control characters.
func lineOf(k godo.Key) (string, error) {
	if len(k.PublicKey) > mostKeyText {
		return "", fmt.Errorf("key %d of the account is %d bytes long", k.ID, len(k.PublicKey))
	}
	_, err := plainKey(k.PublicKey)
	line := ""
	if err == nil {
		line, err = sshx.PublicKey([]byte(k.PublicKey))
	}
	if err != nil {
		return "", fmt.Errorf("key %d of the account: %w", k.ID, err)
	}
	return line, nil
}

// namedKeys finds the keys of the spec that are fingerprints, with one request: a single
// one is asked for, several are looked for in the list. Those that are files or keys
// themselves come with [Config].Keys.
func (p *Provider) namedKeys(ctx context.Context) error {
	missing := slices.DeleteFunc(p.named(), func(n namedKey) bool { return p.knows(n.fingerprint) })
	switch {
	case len(missing) == 0:
		return nil
	case len(missing) == 1 && !strings.HasPrefix(missing[0].fingerprint, sumPrefix):
		there, err := p.findKey(ctx, missing[0].fingerprint)
		if err == nil && !there {
			err = unknownKey(missing[0].as)
		}
		return err
	}
	all, err := p.listKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		line, bad := lineOf(k)
		for _, n := range missing {
			if bad == nil && sshx.IsFingerprint(line, n.fingerprint) {
				p.knowKey(n.fingerprint, accountKey{k.ID, line})
			}
		}
	}
	var errs []error
	for _, n := range missing {
		if !p.knows(n.fingerprint) {
			errs = append(errs, unknownKey(n.as))
		}
	}
	return errors.Join(errs...)
}

// sumPrefix begins a SHA256 fingerprint, by which the account cannot be asked for a key.
const sumPrefix = "SHA256:"

// namedKey is a fingerprint in the spec: as the account writes it, and as it stands there.
type namedKey struct{ fingerprint, as string }

// named lists the fingerprints in the spec, each once.
func (p *Provider) named() []namedKey {
	var out []namedKey
	for _, entry := range p.spec.Ocean.SSHKeys {
		n := namedKey{entry, entry}
		if md5, is := md5Fingerprint(entry); is {
			n.fingerprint = md5
		} else if !strings.HasPrefix(entry, sumPrefix) {
			continue
		}
		if !slices.ContainsFunc(out, func(has namedKey) bool { return has.fingerprint == n.fingerprint }) {
			out = append(out, n)
		}
	}
	return out
}

// letIn says of machines which keys of the account the spec lets in, and why one of them is
// not known. After a look that failed the account is not asked again for a while.
func (p *Provider) letIn(ctx context.Context, machines []fleet.Machine) {
	names := p.named()
	if len(names) == 0 || len(machines) == 0 {
		return
	}
	p.mu.Lock()
	problem, at := p.unnamed, p.unnamedAt
	p.mu.Unlock()
	if problem == nil || time.Since(at) > remembered {
		problem = p.namedKeys(ctx)
		p.mu.Lock()
		p.unnamed, p.unnamedAt = problem, time.Now()
		p.mu.Unlock()
	}
	said := ""
	if problem != nil {
		said = clean("not every key of digitalocean.ssh_keys is known: " + problem.Error())
		if hint := fleet.Hint(problem); hint != "" {
			said += "; " + hint
		}
	}
	var keys []string
	p.mu.Lock()
	for _, n := range names {
		if k, known := p.keys[n.fingerprint]; known {
			keys = append(keys, k.line)
		}
	}
	p.mu.Unlock()
	for i := range machines {
		machines[i].Keys, machines[i].KeysProblem = keys, said
	}
}

func unknownKey(name string) error {
	return fleet.WithHint(fmt.Errorf("the account has no SSH key %s", clean(name)),
		"correct digitalocean.ssh_keys, or name a .pub file there: it is registered")
}

// md5Fingerprint reads a fingerprint as the account writes it, with or without MD5: before.
func md5Fingerprint(name string) (string, bool) {
	hex := strings.ToLower(strings.TrimPrefix(name, "MD5:"))
	pairs := strings.Split(hex, ":")
	for _, pair := range pairs {
		if len(pair) != 2 || strings.Trim(pair, "0123456789abcdef") != "" {
			return "", false
		}
	}
	return hex, len(pairs) == 16
}

func (p *Provider) listKeys(ctx context.Context) ([]godo.Key, error) {
	all, err := pages(ctx, p, p.api.Keys.List, func(k godo.Key) int { return k.ID })
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return all, nil
}

// ourKeys are the keys that were registered for this fleet, by their name.
func (p *Provider) ourKeys(ctx context.Context) ([]godo.Key, error) {
	all, err := p.listKeys(ctx)
	return slices.DeleteFunc(all, func(k godo.Key) bool { return k.Name != p.firewallName() }), err
}

// accountKey is a key of the account: its ID, and itself in authorized_keys form.
type accountKey struct {
	id   int
	line string
}

// knows reports whether a key was found on the account, or put there.
func (p *Provider) knows(fingerprint string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.keys[fingerprint]
	return ok
}

func (p *Provider) knowKey(fingerprint string, k accountKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[fingerprint] = k
}

// forgetKeys makes EnsureKey ask the account again.
func (p *Provider) forgetKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.keys)
}

// orderKeys are the keys for a new droplet, each once, by ID.
func (p *Provider) orderKeys() ([]accountKey, error) {
	keys := p.knownKeys()
	if len(keys) == 0 {
		return nil, errors.New("no SSH key is registered: a droplet without one could not be reached")
	}
	return keys, nil
}

// knownKeys are the keys that were found on the account, each once, by ID.
func (p *Provider) knownKeys() []accountKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := slices.SortedFunc(maps.Values(p.keys), func(a, b accountKey) int { return a.id - b.id })
	return slices.CompactFunc(keys, func(a, b accountKey) bool { return a.id == b.id })
}
