package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// awaitEvery is how often a server that does not answer yet is asked again.
const awaitEvery = 20 * time.Millisecond

// await returns when the server answers with f, or with what was written after it.
func (z *Zone) await(ctx context.Context, names []string, f file) error {
	limit, cancel := context.WithTimeout(ctx, z.patience)
	defer cancel()
	for {
		err := z.served(limit, names, f)
		if err == nil {
			return nil
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &hinted{fmt.Errorf("%w: %w", ErrNotServed, err), "run fleetctl up: it starts the zone's server"}
		case <-time.After(awaitEvery):
		}
	}
}

// served says why the server does not answer with f.
func (z *Zone) served(ctx context.Context, names []string, f file) error {
	port, err := readPort(z.dir)
	if err != nil {
		return err
	}
	server := hostPort(port)
	serial, err := askSerial(ctx, server, z.apex, f.ID)
	if err != nil {
		return err
	}
	if serial < f.Serial {
		return fmt.Errorf("%s answers with serial %d, want %d", server, serial, f.Serial)
	}
	got, err := resolveAll(ctx, server, names)
	if err != nil {
		return err
	}
	if serial, err = askSerial(ctx, server, z.apex, f.ID); err != nil || serial != f.Serial {
		return err // somebody wrote after us
	}
	for i, name := range names {
		want := []string{}
		for _, r := range f.at(name) {
			want = append(want, r.Value)
		}
		if want = slices.Compact(want); !slices.Equal(got[i], want) {
			return fmt.Errorf("%s answers with %d records at %s, want %d", server, len(got[i]), name, len(want))
		}
	}
	return nil
}

// resolveAll asks for each of the names.
func resolveAll(ctx context.Context, server string, names []string) ([][]string, error) {
	out := make([][]string, len(names))
	for i, name := range names {
		var err error
		if out[i], _, err = resolve.Values(ctx, server, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// askSerial asks a server for the serial of the zone with this ID, and so whether it
// serves that zone.
func askSerial(ctx context.Context, server, apex, id string) (uint32, error) {
	a, err := new(resolve.Client).Ask(ctx, resolve.Server{Addr: server}, resolve.Question{Name: apex, Type: resolve.SOA})
	if err != nil {
		return 0, fmt.Errorf("nothing answers at %s: %w", server, err)
	}
	if a.Rcode != dns.RcodeToString[dns.RcodeSuccess] || !a.Authoritative {
		return 0, fmt.Errorf("%s does not serve %s: it answers %s", server, apex, a.Rcode)
	}
	if len(a.Records) == 0 {
		return 0, errors.New(server + " answers without a SOA record")
	}
	soa := a.Records[0]
	if !strings.EqualFold(soa.Mailbox+".", mailbox(id, apex)) {
		return 0, fmt.Errorf("%s serves another zone of %s", server, apex)
	}
	return soa.Serial, nil
}
