package digitalocean

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
)

var _ diagnosis.Doctor = (*Provider)(nil)

// mostSkew is how far this computer's clock may be from the API's: dates of orders and of
// probes are compared.
const mostSkew = 30 * time.Second

// Diagnose looks at the token, at what it may read, at the account and at the clock. What
// a token may change shows only when it does, and is not tried.
func (p *Provider) Diagnose(ctx context.Context) []diagnosis.Finding {
	_, source, err := p.cfg.Token(ctx)
	if err != nil {
		return []diagnosis.Finding{{Check: "token", Err: fmt.Errorf("%w: API token from %s: %w", fleet.ErrAuth, source, err), Fix: "set DIGITALOCEAN_TOKEN"}}
	}
	a, resp, err := do(ctx, p, p.api.Account.Get)
	out := []diagnosis.Finding{{Check: "token", Detail: "from " + source + "; what it may change is not tried", Err: err, Fix: "make a new token at DigitalOcean"}}
	if err != nil || a == nil {
		return out
	}
	account := diagnosis.Finding{Check: "account", Detail: fmt.Sprintf("%s, %s", clean(a.Email), clean(a.Status))}
	if a.Status != "active" {
		account.Err, account.Fix = fmt.Errorf("the account is %s: %s", clean(a.Status), clean(a.StatusMessage)), "see what DigitalOcean wrote to the account's owner"
	}
	return append(out, account, p.readable(ctx), p.keysThere(ctx), skew(resp, time.Now()))
}

// keysThere looks whether the keys that the spec names are on the account.
func (p *Provider) keysThere(ctx context.Context) diagnosis.Finding {
	detail := "none is named by its fingerprint"
	if n := len(p.named()); n > 0 {
		detail = fmt.Sprintf("all that are named by their fingerprint (%d) are there", n)
	}
	return diagnosis.Finding{
		Check: "account keys", Detail: detail, Err: p.namedKeys(ctx),
		Fix: "add the key to the account, or name its file in digitalocean.ssh_keys",
	}
}

// anyFingerprint is of no key: to ask for it shows whether keys may be read.
const anyFingerprint = "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"

// readable tries what a fleet reads.
func (p *Provider) readable(ctx context.Context) diagnosis.Finding {
	f := diagnosis.Finding{Check: "token scopes", Detail: "droplets, firewalls, sizes, regions, the image, keys and tags can be read"}
	for _, read := range []func() error{
		func() error { _, err := p.droplets(ctx); return err },
		func() error { _, err := p.firewall(ctx); return err },
		func() error { _, err := p.catalogue(ctx); return err },
		func() error { return p.checkImage(ctx) },
		func() error { _, err := p.findKey(ctx, anyFingerprint); return err },
		func() error {
			_, _, err := do(ctx, p, func(ctx context.Context) ([]godo.Tag, *godo.Response, error) {
				return p.api.Tags.List(ctx, &godo.ListOptions{PerPage: 1})
			})
			return err
		},
	} {
		if err := read(); err != nil {
			f.Err, f.Fix = err, "give the token the scopes that it lacks, or make a new one"
			return f
		}
	}
	return f
}

// skew compares this computer's clock with the date of an answer.
func skew(resp *godo.Response, now time.Time) diagnosis.Finding {
	f := diagnosis.Finding{Check: "clock"}
	if resp == nil || resp.Response == nil {
		f.Detail = "the API does not say what time it is"
		return f
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		f.Detail = "the API does not say what time it is"
		return f
	}
	off := now.Sub(at).Round(time.Second)
	f.Detail = fmt.Sprintf("%s from the API's", off.Abs())
	if off.Abs() > mostSkew {
		f.Err, f.Fix = fmt.Errorf("this computer's clock is %s away from the API's", off.Abs()), "set the clock, with NTP"
	}
	return f
}
