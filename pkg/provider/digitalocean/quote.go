package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/digitalocean/godo"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
)

// catalogue is what DigitalOcean sells. It is read once.
type catalogue struct {
	sizes   []godo.Size
	regions []godo.Region
}

// currency of all prices of the API.
const currency = "USD"

// Quote prices the fleet's droplets and what would be bought, at the prices that the API
// names now, and checks that it can be had: the account may buy, region, size and image
// exist and are to be had together, and what goes with an order can be sent. How many droplets the account has and may have is
// said, not judged: see [fleet.Intent.Fit].
func (p *Provider) Quote(ctx context.Context, buy []fleet.NewMachine) (fleet.Quote, error) {
	q, err := p.quote(ctx, buy)
	if err != nil {
		return fleet.Quote{}, fmt.Errorf("quote: %w", err)
	}
	return q, nil
}

func (p *Provider) quote(ctx context.Context, buy []fleet.NewMachine) (fleet.Quote, error) {
	var all []godo.Droplet
	var account godo.Account
	var sold catalogue
	var wall *godo.Firewall
	group, within := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		all, err = p.droplets(within)
		return err
	})
	group.Go(func() (err error) {
		account, err = p.account(within)
		return err
	})
	group.Go(func() (err error) {
		sold, err = p.catalogue(within)
		return err
	})
	if len(buy) > 0 {
		group.Go(func() error { return p.checkImage(within) })
		group.Go(func() error { return p.mayOrder(within) })
		group.Go(func() (err error) {
			wall, err = p.firewall(within)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fleet.Quote{}, err
	}
	if err := p.mayBuy(ctx, account); err != nil {
		return fleet.Quote{}, err
	}
	machines, err := p.pick(all)
	if err != nil {
		return fleet.Quote{}, err
	}
	if len(buy) > 0 {
		if err := p.mayFence(wall, all); err != nil {
			return fleet.Quote{}, fmt.Errorf("firewall %s: %w", p.firewallName(), err)
		}
	}
	q := fleet.Quote{Currency: currency, Now: []fleet.PriceLine{}, Buy: []fleet.PriceLine{}, Used: len(all), Limit: account.DropletLimit}
	byID := make(map[string]godo.Droplet, len(all))
	for _, d := range all {
		byID[strconv.Itoa(d.ID)] = d
	}
	for _, m := range machines {
		line, err := p.line(m.Node, m.ID, clean(byID[m.ID].SizeSlug)+" in "+m.Region, sizeOf(sold, byID[m.ID]), len(buy) > 0)
		if err != nil {
			return fleet.Quote{}, err
		}
		q.Now = append(q.Now, line)
	}
	for _, n := range buy {
		size, err := p.offered(sold, n.Region)
		if err != nil {
			return fleet.Quote{}, fmt.Errorf("%s: %w", n.Node, err)
		}
		line, err := p.line(n.Node, "", size.Slug+" in "+n.Region, size, true)
		if err != nil {
			return fleet.Quote{}, err
		}
		q.Buy = append(q.Buy, line)
	}
	return q, nil
}

// line is the price of a droplet of a size. One that is not known is said, and an error
// where something is to be bought within a bound.
func (p *Provider) line(node, id, what string, size godo.Size, buying bool) (fleet.PriceLine, error) {
	if size.PriceMonthly <= 0 {
		if buying && p.spec.Ocean.MaxMonthly > 0 {
			return fleet.PriceLine{}, fleet.WithHint(fmt.Errorf("%s: the API names no price for %s, so it is not known whether max_monthly is kept", node, what),
				"look its price up at DigitalOcean, and set digitalocean.max_monthly to 0 for this once")
		}
		what += ", price not known"
	}
	return fleet.PriceLine{Node: node, ID: id, What: what, Monthly: max(size.PriceMonthly, 0), Transfer: transferOf(size)}, nil
}

// sizeOf is what a droplet is sold as: its size as it is sold now, or what the droplet
// says itself where that is not sold any more. One of neither has no price.
func sizeOf(sold catalogue, d godo.Droplet) godo.Size {
	if size, ok := find(sold.sizes, d.SizeSlug, func(s godo.Size) string { return s.Slug }); ok {
		return size
	}
	if d.Size != nil {
		return *d.Size
	}
	return godo.Size{}
}

// terabyte is what the API counts transfer in.
const terabyte = 1e12

// transferOf is how many bytes may leave a droplet of a size in a month, 0 if the API does
// not say. All droplets of an account share what they have together.
func transferOf(s godo.Size) int64 { return int64(s.Transfer * terabyte) }

// account reads the account's status and limit.
func (p *Provider) account(ctx context.Context) (godo.Account, error) {
	a, _, err := do(ctx, p, p.api.Account.Get)
	if err == nil && a == nil {
		err = errors.New("the API's answer names no account")
	}
	if err != nil {
		return godo.Account{}, fmt.Errorf("read the account: %w", err)
	}
	return *a, nil
}

// mayBuy is an error for an account that is locked. A warning is told, and is none.
func (p *Provider) mayBuy(ctx context.Context, a godo.Account) error {
	switch a.Status {
	case "locked":
		return lockedError(errors.New(orElse(clean(a.StatusMessage), "no reason is given")))
	case "active", "":
	default:
		p.log.WarnContext(ctx, "the account is not in good order", slog.String("status", clean(a.Status)), slog.String("message", clean(a.StatusMessage)))
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// room is how many droplets the account has and may have.
func (p *Provider) room(ctx context.Context) (used, limit int, err error) {
	a, err := p.account(ctx)
	if err != nil {
		return 0, 0, err
	}
	_, resp, err := do(ctx, p, func(ctx context.Context) ([]godo.Droplet, *godo.Response, error) {
		return p.api.Droplets.List(ctx, &godo.ListOptions{Page: 1, PerPage: 1})
	})
	if err == nil && resp.Meta == nil {
		err = errors.New("the API's list does not say how long it is")
	}
	if err != nil {
		return 0, 0, err
	}
	return resp.Meta.Total, a.DropletLimit, nil
}

// catalogue reads what is sold, once for each provider.
func (p *Provider) catalogue(ctx context.Context) (catalogue, error) {
	p.mu.Lock()
	sold := p.sold
	p.mu.Unlock()
	if sold != nil {
		return *sold, nil
	}
	var c catalogue
	var err error
	if c.sizes, err = pages(ctx, p, p.api.Sizes.List, func(s godo.Size) string { return s.Slug }); err != nil {
		return c, fmt.Errorf("list sizes: %w", err)
	}
	if c.regions, err = pages(ctx, p, p.api.Regions.List, func(r godo.Region) string { return r.Slug }); err != nil {
		return c, fmt.Errorf("list regions: %w", err)
	}
	p.mu.Lock()
	p.sold = &c
	p.mu.Unlock()
	return c, nil
}

// offered is the spec's size, if it is to be had in a region.
func (p *Provider) offered(sold catalogue, region string) (godo.Size, error) {
	sizeSlug := func(s godo.Size) string { return s.Slug }
	regionSlug := func(r godo.Region) string { return r.Slug }
	r, ok := find(sold.regions, region, regionSlug)
	if !ok {
		return godo.Size{}, unknown("region", region, slugs(sold.regions, regionSlug), "nodes")
	}
	size, ok := find(sold.sizes, p.spec.Ocean.Size, sizeSlug)
	if !ok {
		return godo.Size{}, unknown("size", p.spec.Ocean.Size, slugs(sold.sizes, sizeSlug), "digitalocean.size")
	}
	switch {
	case !r.Available:
		return size, fleet.WithHint(fmt.Errorf("region %s takes no new droplets", region), "ask for another region")
	case !size.Available:
		return size, fleet.WithHint(fmt.Errorf("size %s is not sold any more", size.Slug), "set digitalocean.size to another one")
	case !slices.Contains(size.Regions, region):
		return size, fleet.WithHint(fmt.Errorf("size %s is not to be had in %s", size.Slug, region),
			"set digitalocean.size to one that region has, or ask for one of: "+clean(strings.Join(size.Regions, ", ")))
	}
	return size, nil
}

// checkImage looks the spec's image up.
func (p *Provider) checkImage(ctx context.Context) error {
	slug := p.spec.Ocean.Image
	_, _, err := do(ctx, p, func(ctx context.Context) (*godo.Image, *godo.Response, error) {
		return p.api.Images.GetBySlug(ctx, slug)
	})
	if err == nil {
		return nil
	}
	if !is(err, http.StatusNotFound) {
		return fmt.Errorf("read image %s: %w", slug, err)
	}
	all, err := pages(ctx, p, p.api.Images.ListDistribution, func(i godo.Image) int { return i.ID })
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	return unknown("image", slug, slugs(all, func(i godo.Image) string { return i.Slug }), "digitalocean.image")
}

func find[T any](all []T, slug string, of func(T) string) (T, bool) {
	i := slices.IndexFunc(all, func(v T) bool { return of(v) == slug })
	if i < 0 {
		var zero T
		return zero, false
	}
	return all[i], true
}

func slugs[T any](all []T, of func(T) string) []string {
	var out []string
	for _, v := range all {
		if s := of(v); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// unknown is the error of a word that the API does not have; the nearest one is its hint.
func unknown(what, got string, known []string, key string) error {
	err := fmt.Errorf("DigitalOcean has no %s %q", what, got)
	if len(known) == 0 {
		return err
	}
	nearest := slices.MinFunc(known, func(a, b string) int {
		return levenshtein.ComputeDistance(got, a) - levenshtein.ComputeDistance(got, b)
	})
	return fleet.WithHint(err, fmt.Sprintf("correct %s; the nearest %s is %s", key, what, clean(nearest)))
}
