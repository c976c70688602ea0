package digitalocean

import (
	"context"
	"fmt"
)

// mayOrder is an error if the orders of this spec could not be sent: a key is not on the
// account or is none, a droplet would boot with more than the API takes. Whoever is about to
// give up a machine for a new one has to know before. It changes nothing.
func (p *Provider) mayOrder(ctx context.Context) error {
	for _, line := range p.cfg.Keys {
		if _, err := plainKey(line); err != nil {
			return fmt.Errorf("SSH keys: %w", err)
		}
	}
	if err := p.namedKeys(ctx); err != nil {
		return err
	}
	lines := p.cfg.Keys[:len(p.cfg.Keys):len(p.cfg.Keys)]
	for _, k := range p.knownKeys() {
		lines = append(lines, k.line)
	}
	if len(lines) > 0 { // before the first up there is no key: it makes the fleet's own
		if _, _, err := p.bootWith(lines); err != nil {
			return err
		}
	}
	return nil
}

// bootWith makes what a droplet boots with, and the host key in it.
func (p *Provider) bootWith(keys []string) (userData, hostKey string, err error) {
	userData, hostKey, err = p.cfg.Bootstrap(keys)
	if err != nil {
		return "", "", fmt.Errorf("what it boots with: %w", err)
	}
	if len(userData) > mostUserData {
		return "", "", fmt.Errorf("its user_data is %d bytes long, the API takes %d", len(userData), mostUserData)
	}
	return userData, hostKey, nil
}
