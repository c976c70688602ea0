package cloudflare

import "context"

// NameServers lists the zone's own name servers as Cloudflare names them, host:port; none
// if they are not known, or the zone cannot be read.
func (z *Zone) NameServers(ctx context.Context) []string {
	h, err := z.find(ctx)
	if err != nil {
		return nil
	}
	return h.servers()
}
