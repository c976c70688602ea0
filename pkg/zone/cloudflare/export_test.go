package cloudflare

// SetPerPage makes lists come in pages of so many records.
func SetPerPage(z *Zone, n int) { z.perPage = n }
