package digitalocean

import (
	"context"
	"fmt"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/credential"
)

// Token finds the API token. Source says in words where it comes from, for errors, also
// where it could not be had; the value is never in an error.
type Token func(ctx context.Context) (value, source string, err error)

// TokenFrom is the token of a spec; where that does not say where it is, it is in
// DIGITALOCEAN_TOKEN or DIGITALOCEAN_ACCESS_TOKEN. Whatever is missing is [fleet.ErrAuth].
func TokenFrom(s fleet.SecretSpec, env, path func(string) string) Token {
	from := credential.From(s, []string{"DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"}, env, path)
	return func(ctx context.Context) (string, string, error) {
		value, source, err := from(ctx)
		if err != nil {
			return "", source, fleet.WithHint(fmt.Errorf("%w: API token %w", fleet.ErrAuth, err),
				"make a token at DigitalOcean and set DIGITALOCEAN_TOKEN, or say with digitalocean.token where it is")
		}
		return value, source, nil
	}
}
