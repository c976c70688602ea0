package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Bounds of a [Client.Walk], those of go-libp2p.
const (
	MaxDepth   = 4   // names that are asked for one after the other, the first included
	MaxResults = 100 // addresses
	maxNames   = 64  // that are asked for: more would be no fleet
)

// Found is an address that a walk found.
type Found struct {
	Addr   dnsaddr.Addr
	Record Record // that holds it
	Depth  int    // pointers that led there, 0 at the first name
}

// Skipped is a record that leads to no address.
type Skipped struct {
	Record Record
	Reason string // may quote the record
}

// Walked is what a walk found.
type Walked struct {
	Found   []Found   // in the order in which the names were asked for; no address twice
	Skipped []Skipped // records that a client cannot use, and pointers that lead nowhere
	Answers []Answer  // one for each name that answered, that of the first name first
	Failed  []error   // names below the first that did not answer: what they hold is unknown
}

// Walk resolves the TXT records at name, _dnsaddr.<domain>, and follows those that point
// to other names, each name once, not deeper than [MaxDepth] and not further than
// [MaxResults] addresses. What follows the name in a pointer must be the end of an address
// that it leads to. An error means that the first name gave no answer.
func (c *Client) Walk(ctx context.Context, s Server, name string) (Walked, error) {
	w := walk{
		client: c, server: s, asked: make(map[visit]bool), have: make(map[dnsaddr.Addr]bool),
		got: Walked{Found: []Found{}, Skipped: []Skipped{}, Answers: []Answer{}},
	}
	err := w.at(ctx, visit{name: bare(name)}, 0)
	return w.got, err
}

// visit is a name and what the addresses there must end in.
type visit struct{ name, suffix string }

type walk struct {
	client *Client
	server Server
	asked  map[visit]bool
	have   map[dnsaddr.Addr]bool
	got    Walked
}

func (w *walk) at(ctx context.Context, v visit, depth int) error {
	w.asked[v] = true
	a, err := w.client.Ask(ctx, w.server, Question{Name: v.name})
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	w.got.Answers = append(w.got.Answers, a)
	for _, r := range a.Records {
		if err := w.follow(ctx, v, r, depth); err != nil {
			return err
		}
	}
	return nil
}

// follow takes one record. Its error is that of ctx.
func (w *walk) follow(ctx context.Context, from visit, r Record, depth int) error {
	addr, err := dnsaddr.ParseValue(r.Value)
	switch {
	case err == nil && !endsIn(addr.String(), from.suffix):
		w.skip(r, "its address does not end in "+from.suffix)
	case err == nil && w.have[addr]:
	case err == nil && len(w.got.Found) >= MaxResults:
		w.skip(r, fmt.Sprintf("clients stop after %d addresses", MaxResults))
	case err == nil:
		w.have[addr] = true
		w.got.Found = append(w.got.Found, Found{Addr: addr, Record: r, Depth: depth})
	case errors.Is(err, dnsaddr.ErrPointer):
		return w.descend(ctx, from, r, depth)
	default:
		w.skip(r, err.Error())
	}
	return nil
}

// descend follows a pointer.
func (w *walk) descend(ctx context.Context, from visit, r Record, depth int) error {
	to, err := pointer(r.Value)
	next := visit{name: bare(dnsaddr.Name(to.name)), suffix: to.suffix}
	if next.suffix == "" {
		next.suffix = from.suffix
	}
	switch {
	case err != nil:
		w.skip(r, err.Error())
	case to.suffix != "" && !endsIn(to.suffix, from.suffix):
		w.skip(r, "it does not end in "+from.suffix)
	case w.asked[next]:
		w.skip(r, "it leads to a name that was asked already")
	case depth+1 >= MaxDepth:
		w.skip(r, fmt.Sprintf("clients follow no more than %d names", MaxDepth))
	case len(w.asked) >= maxNames:
		w.skip(r, fmt.Sprintf("more than %d names", maxNames))
	default:
		if err := w.at(ctx, next, depth+1); err != nil {
			if over(ctx) != nil {
				return err
			}
			w.got.Failed = append(w.got.Failed, err)
		}
	}
	return nil
}

func (w *walk) skip(r Record, reason string) {
	w.got.Skipped = append(w.got.Skipped, Skipped{Record: r, Reason: reason})
}

// pointer reads "dnsaddr=/dnsaddr/<name>…": the name, and what follows it.
func pointer(value string) (visit, error) {
	_, text, _ := strings.Cut(value, "=")
	m, err := ma.NewMultiaddr(text)
	if err != nil {
		return visit{}, err
	}
	v := visit{name: m[0].Value()}
	if len(m) > 1 {
		v.suffix = m[1:].String()
	}
	return v, nil
}

// endsIn reports whether a multiaddr ends in these components.
func endsIn(addr, suffix string) bool { return strings.HasSuffix(addr, suffix) }
