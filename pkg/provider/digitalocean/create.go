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
	"time"

	"github.com/digitalocean/godo"
	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// mostUserData is what the API accepts, in bytes.
const mostUserData = 64 << 10

// The names of the waits.
const (
	waitOrder  = "api-order"  // for word of an order that was not answered
	waitActive = "api-active" // for a droplet to be active and to have an address
	waitMarks  = "api-tags"   // for a droplet to show its tags
)

// Create orders a droplet and returns when it is active and has an address.
//
// An operation that has a droplet is not ordered again. If the order is not answered, or
// with a 5xx, the account is looked through for the droplet, several times and for a
// while: by the operation's tag, and by the name for one that shows no tags yet. What is
// found is the order's. Only if nothing is, the order is sent once more, and what then
// appears twice is one too many: the droplet with the lower ID stays.
//
// EnsureKey must have succeeded before: a droplet without a key could not be reached.
func (p *Provider) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	d, err := p.create(ctx, n)
	if err != nil {
		return fleet.Machine{}, fmt.Errorf("create machine %s: %w", clean(n.Node), err)
	}
	return p.machine(d), nil
}

func (p *Provider) create(ctx context.Context, n fleet.NewMachine) (godo.Droplet, error) {
	var none godo.Droplet
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if _, err := ulid.ParseStrict(n.Op); err != nil || n.Op != strings.ToUpper(n.Op) || n.Node == "" || n.Region == "" {
		return none, errors.New("an order needs a node, a region and an operation, which is a ULID")
	}
	if n.Waiting == nil {
		n.Waiting = func(string) {}
	}
	unlock, err := p.orders.lock(ctx, n.Op)
	if err != nil {
		return none, err
	}
	defer unlock()
	listed, err := p.ours.since(ctx, p.lastOrder(n.Op), time.Second, p.trans.writes, p.listTagged)
	if err != nil {
		return none, err
	}
	if made := ofOperation(listed, n.Op); len(made) > 0 {
		if whose, err := p.whose(made[0]); err != nil || whose != ours {
			return none, errors.Join(err, fmt.Errorf("droplet %d has the tag of this operation and is not ours", made[0].ID))
		}
		return p.untilReady(ctx, n, made[0].ID, made[0].Tags)
	}
	order, err := p.order(n)
	if err != nil {
		return none, err
	}
	id, err := p.buy(ctx, n, order)
	if err != nil {
		return none, err
	}
	return p.untilReady(ctx, n, id, order.Tags)
}

// order is what is asked for: one droplet, in a region by its full name.
func (p *Provider) order(n fleet.NewMachine) (*godo.DropletCreateRequest, error) {
	keys, err := p.orderKeys()
	if err != nil {
		return nil, err
	}
	var lines []string
	var ids []godo.DropletCreateSSHKey
	for _, k := range keys {
		lines, ids = append(lines, k.line), append(ids, godo.DropletCreateSSHKey{ID: k.id})
	}
	userData, hostKey, err := p.bootWith(lines)
	if err != nil {
		return nil, err
	}
	hex, err := sshx.EncodeHostKeyMark(hostKey)
	if err != nil {
		return nil, err
	}
	var tags []string
	if p.spec.ID != "" { // first, as they are put on one by one if they are late: without it the fleet's name proves nothing
		tags = append(tags, tagFleetID+p.spec.ID)
	}
	tags = append(tags, p.fence(), tagFleet+p.spec.Name, tagSlot+n.Node, tagOp+strings.ToLower(n.Op), tagHostKey+hex)
	for _, t := range p.spec.Ocean.Tags {
		if !hasTag(tags, t) {
			tags = append(tags, t)
		}
	}
	return &godo.DropletCreateRequest{
		Name: p.dropletName(n), Region: n.Region, Size: p.spec.Ocean.Size, Image: godo.DropletCreateImage{Slug: p.spec.Ocean.Image},
		SSHKeys: ids, IPv6: true, Monitoring: true, UserData: userData, Tags: tags,
	}, nil
}

// buy sends the order and returns the ID of its droplet.
func (p *Provider) buy(ctx context.Context, n fleet.NewMachine, order *godo.DropletCreateRequest) (int, error) {
	began := time.Now()
	defer p.ordered(n.Op)
	id, err := p.post(ctx, order)
	if !doubtful(err) || ctx.Err() != nil {
		return id, p.refusedOrder(ctx, n, err)
	}
	p.log.WarnContext(ctx, "an order was not answered: looking for what it made", slog.String("node", n.Node), slog.Any("error", err))
	found, lookErr := p.search(ctx, n, order, began)
	if lookErr != nil || found != 0 {
		return found, inDoubt(order.Name, err, lookErr)
	}
	p.log.WarnContext(ctx, "the order made nothing: sending it once more", slog.String("node", n.Node))
	id, err = p.post(ctx, order)
	switch {
	case err == nil:
		return p.single(ctx, n, id)
	case !doubtful(err) || ctx.Err() != nil:
		return 0, p.refusedOrder(ctx, n, err)
	}
	if found, lookErr = p.search(ctx, n, order, began); found != 0 || lookErr != nil {
		return found, inDoubt(order.Name, err, lookErr)
	}
	return 0, inDoubt(order.Name, err, errors.New("nothing of that name is listed yet"))
}

// lastOrder is how many writes were over when the last order of an operation was: what is
// not about it does not make a list out of date.
func (p *Provider) lastOrder(op string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[op]
}

func (p *Provider) ordered(op string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[op] = p.trans.writes()
}

// inDoubt is the error of an order of which it is not known whether it was carried out.
func inDoubt(name string, err, lookErr error) error {
	if lookErr == nil {
		return nil
	}
	return fleet.WithHint(fmt.Errorf("it is not known whether the order was carried out: %w; looking for droplet %s: %w", err, name, lookErr),
		"run the same command again: a droplet that appears meanwhile is found by its tags, and nothing is bought twice")
}

// post sends the order once.
func (p *Provider) post(ctx context.Context, order *godo.DropletCreateRequest) (int, error) {
	d, _, err := do(ctx, p, func(ctx context.Context) (*godo.Droplet, *godo.Response, error) {
		return p.api.Droplets.Create(ctx, order)
	})
	switch {
	case err != nil:
		return 0, err
	case d == nil || d.ID == 0:
		return 0, errors.New("the API's answer names no droplet")
	}
	return d.ID, nil
}

// refusedOrder says more of an order that was refused: how much room the account has, or that
// the keys on it changed.
func (p *Provider) refusedOrder(ctx context.Context, n fleet.NewMachine, err error) error {
	switch {
	case !is(err, http.StatusUnprocessableEntity):
		return err
	case says(err, "droplet limit"):
		if used, limit, roomErr := p.room(ctx); roomErr == nil {
			return fleet.WithHint(fmt.Errorf("%d of %d droplets are used: %w", used, limit, err), fleet.Hint(err))
		}
		return err
	case says(err, "key"):
		p.forgetKeys()
		return fleet.WithHint(err, "run the same command again: the SSH keys on the account changed meanwhile")
	case says(err, "available"):
		return fleet.WithHint(fmt.Errorf("%s in %s: %w", p.spec.Ocean.Size, clean(n.Region), err),
			"wait, or ask for another region or another digitalocean.size")
	}
	return err
}

// search looks for the droplet of an order that was not answered, several times within
// Waits.Doubt. It is 0 if there is none.
func (p *Provider) search(ctx context.Context, n fleet.NewMachine, order *godo.DropletCreateRequest, began time.Time) (int, error) {
	const looks = 4
	rest := p.cfg.Waits.Doubt
	untagged := 0
	for look := range looks {
		n.Waiting(waitOrder)
		wait := rest >> (looks - look) // 1/16, then more and more: 1/8, 1/4, 1/2
		if err := pause(ctx, wait); err != nil {
			return 0, err
		}
		all, err := p.droplets(ctx)
		if err != nil {
			return 0, err
		}
		if made := ofOperation(all, n.Op); len(made) > 0 {
			return made[0].ID, nil
		}
		if untagged = p.ofName(all, order, began); untagged == 0 && look == looks-1 {
			return 0, nil
		}
	}
	// It has our name, was made since, and shows no tags that say otherwise.
	for _, tag := range order.Tags {
		if err := p.attach(ctx, tag, untagged); err != nil {
			return 0, err
		}
	}
	return untagged, nil
}

// ofOperation are the droplets of an operation, the lowest ID first.
func ofOperation(all []godo.Droplet, op string) []godo.Droplet {
	var out []godo.Droplet
	for _, d := range all {
		if hasTag(d.Tags, tagOp+op) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b godo.Droplet) int { return a.ID - b.ID })
	return out
}

// clockSkew is how far the API's clock may be behind ours.
const clockSkew = 5 * time.Minute

// ofName is a droplet that may be the order's although it shows no tags of ours: of its
// name and region, and not older. It is 0 if there is none.
func (p *Provider) ofName(all []godo.Droplet, order *godo.DropletCreateRequest, began time.Time) int {
	for _, d := range all {
		made, err := time.Parse(time.RFC3339, d.Created)
		if err == nil && strings.EqualFold(d.Name, order.Name) && regionOf(d) == order.Region &&
			made.After(began.Add(-clockSkew)) && !slices.ContainsFunc(d.Tags, isOurs) {
			return d.ID
		}
	}
	return 0
}

// single makes sure that an order that was sent twice has one droplet: that of the lower
// ID stays, the other was never anybody's relay.
func (p *Provider) single(ctx context.Context, n fleet.NewMachine, id int) (int, error) {
	all, err := p.droplets(ctx)
	if err != nil {
		return id, nil //nolint:nilerr // it is there; a twin, if any, is found by the next run
	}
	for i, d := range ofOperation(all, n.Op) {
		if i == 0 {
			id = d.ID
			continue
		}
		p.log.WarnContext(ctx, "the order was carried out twice: deleting the later droplet", slog.String("node", n.Node), slog.Int("droplet", d.ID))
		if err := p.Delete(ctx, strconv.Itoa(d.ID)); err != nil {
			return id, err
		}
	}
	return id, nil
}
