package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// A Resolve asks one name server (host:port) for the TXT records of a name and returns
// their texts. An error means that it said nothing.
type Resolve func(ctx context.Context, server, name string) ([]string, error)

// silences is how often a name server may say nothing before it is asked no more.
const silences = 2

// wanted are the texts that names must have before anything is deleted: what was added,
// and at names that lose records all the addresses that stay. An earlier run may have
// added those a moment ago.
func wanted(entry string, have []stored, c dnsaddr.Changes, deletes []op) map[string][]string {
	doomed, losing := make(map[string]bool), make(map[string]bool)
	for _, o := range deletes {
		doomed[o.ID], losing[o.Name] = true, true
	}
	added := make(map[[2]string]bool)
	for _, r := range c.Add {
		added[[2]string{nameOf(entry, r), r.Value}] = true
	}
	want := make(map[string][]string)
	for _, s := range have {
		stays := losing[s.Name] && !doomed[s.ID] && dnsaddr.IsDNSAddr(s.Value)
		if stays || added[[2]string{s.Name, s.Value}] {
			want[s.Name] = append(want[s.Name], s.Value)
		}
	}
	return want
}

// see returns when every name server of the zone that says anything answers with what is
// wanted, and with [dnsaddr.ErrNotSeen] if one does not in time. It reports whether that
// is so of all of them: of one that says nothing, or that is not known, it is not known.
func (a *aim) see(ctx context.Context, want map[string][]string) (everywhere bool, err error) {
	if a.resolve == nil || len(want) == 0 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.spread)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	answered := make([]bool, len(a.servers))
	for i, server := range a.servers {
		g.Go(func() (err error) {
			answered[i], err = a.await(ctx, server, want)
			return err
		})
	}
	err = g.Wait()
	return len(answered) > 0 && !slices.Contains(answered, false), err
}

// await asks one name server until it answers with what is wanted, and reports whether it
// does. What a server was seen to lack it lacks until it says otherwise.
func (a *aim) await(ctx context.Context, server string, want map[string][]string) (answered bool, err error) {
	began, silent, lacks := time.Now(), 0, ""
	for {
		missing, err := a.missing(ctx, server, want)
		switch {
		case err == nil && missing == "":
			return true, nil
		case err == nil:
			lacks = missing
		case ctx.Err() == nil && lacks == "":
			if silent++; silent == silences {
				a.log.WarnContext(ctx, "a name server of the zone says nothing: it is asked no more", slog.String("server", server), slog.Any("error", err))
				return false, nil
			}
		}
		switch err := pause(ctx, a.look); {
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded):
			if lacks == "" {
				return false, nil // it said nothing
			}
			return false, fleet.WithHint(fmt.Errorf("%w: %s lacks %s after %s, so nothing was removed", dnsaddr.ErrNotSeen, server, lacks, time.Since(began).Round(time.Second)), againHint)
		default:
			return false, ctx.Err()
		}
	}
}

// missing is the first text that a name server does not answer with, "" if there is none.
func (a *aim) missing(ctx context.Context, server string, want map[string][]string) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, err := a.resolve(ctx, server, name)
		if err != nil {
			return "", err
		}
		for _, value := range want[name] {
			if !slices.Contains(got, value) {
				return clean(value) + " at " + name, nil
			}
		}
	}
	return "", nil
}
