package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
)

var _ diagnosis.Doctor = (*Zone)(nil)

// mayEdit is the permission of a token that may write records, as the API names it.
const mayEdit = "#dns_records:edit"

// Diagnose looks at the token, at the zone and at what the token may do there. Nothing is
// written, so that what the API does not say of a token stays open.
func (z *Zone) Diagnose(ctx context.Context) []diagnosis.Finding {
	token := diagnosis.Finding{Check: "zone token", Fix: "make a new token at Cloudflare"}
	status, expires, err := z.api.verify(ctx)
	from := "from " + z.api.trans.From()
	h, zoneErr := z.find(ctx)
	switch {
	case err == nil && status != statusActive:
		token.Err = fmt.Errorf("%w: the API token %s is %q", dnsaddr.ErrAuth, from, status)
	case err == nil:
		token.Detail = from + ", active"
		if expires != "" {
			token.Detail += ", until " + expires
		}
	case zoneErr == nil && errors.Is(err, dnsaddr.ErrAuth):
		token.Detail = from + ", which belongs to an account" // and is verified there
	default:
		token.Err = err
	}
	if token.Err != nil {
		return []diagnosis.Finding{token}
	}
	return append([]diagnosis.Finding{token}, z.diagnoseZone(ctx, h, zoneErr)...)
}

func (z *Zone) diagnoseZone(ctx context.Context, h home, err error) []diagnosis.Finding {
	zone := diagnosis.Finding{Check: "zone", Fix: "give the token the permission Zone.Zone:Read for the zone, or correct dns.domain or dns.cloudflare.zone_id"}
	switch {
	case err != nil && z.zoneID != "" && unreadable(err):
		zone.Detail = z.zoneID + ", which the token may not read: whether it is active is not known"
	case err != nil:
		zone.Err = err
		return []diagnosis.Finding{zone}
	default:
		zone.Detail = clean(h.Name) + ", " + clean(h.Status)
		if why := h.trouble(z.domain); why != "" {
			zone.Err, zone.Fix = errors.New(why), "see the zone's overview page at Cloudflare"
		}
	}
	return []diagnosis.Finding{zone, z.diagnosePermissions(ctx, h)}
}

// diagnosePermissions reads the records, and asks the zone what else may be done to them.
func (z *Zone) diagnosePermissions(ctx context.Context, h home) diagnosis.Finding {
	f := diagnosis.Finding{Check: "zone permissions", Fix: "give the token the permission Zone.DNS:Edit for the zone"}
	entry := dnsaddr.Name(z.domain)
	have, err := z.records(ctx, entry)
	switch {
	case err != nil:
		f.Err = err
	case slices.Contains(h.Permissions, mayEdit):
		f.Detail = fmt.Sprintf("%d records can be read, and changed", len(have))
	case slices.ContainsFunc(h.Permissions, func(p string) bool { return strings.HasPrefix(p, "#dns_records:") }):
		f.Err = fmt.Errorf("%w: the API token from %s may read records and not change them", dnsaddr.ErrAuth, z.api.trans.From())
	default:
		f.Detail = fmt.Sprintf("%d records can be read; whether they can be changed is not tried", len(have))
	}
	return f
}
