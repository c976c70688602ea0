package cftest

import (
	"cmp"
	"time"
)

// Records lists what a zone holds in the order in which it came, without a request.
func (c *Cloud) Records(zone string) []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := []Record{}
	for _, r := range c.mustZone(zone).sorted() {
		found = append(found, r.Record)
	}
	return found
}

// Put writes records into a zone as if others had: past the API, its hooks and its
// counters, but not past its rules. Empty types are TXT, empty TTLs five minutes. One with
// the ID of a record replaces it; the others get IDs. What was written is returned.
func (c *Cloud) Put(zone string, records ...Record) ([]Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.mustZone(zone)
	t := c.newTx(z, c.cfg.Now())
	written := []Record{}
	for _, r := range records {
		ttl, kind := cmp.Or(r.TTL, autoTTL).Seconds(), cmp.Or(r.Type, "TXT")
		priority := float64(r.Priority)
		f := form{Name: &r.Name, Type: &kind, Content: &r.Content, TTL: &ttl, Comment: &r.Comment, Tags: &r.Tags, Proxied: &r.Proxied, Priority: &priority}
		do := t.post
		if r.ID != "" {
			do = func(f form) (*record, *refusal) { return t.put(r.ID, f) }
		}
		made, refused := do(f)
		if refused != nil {
			return nil, refused
		}
		written = append(written, made.Record)
	}
	t.commit()
	return written, nil
}

// Remove deletes records from a zone as if others had. Those that are not there are left
// out.
func (c *Cloud) Remove(zone string, ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.newTx(c.mustZone(zone), c.cfg.Now())
	for _, id := range ids {
		_, _ = t.delete(id) // one that is gone already
	}
	t.commit()
}

// mustZone panics where there is no such zone: it is a mistake in a test.
func (c *Cloud) mustZone(name string) *zone {
	z := c.zone(name)
	if z == nil {
		panic("cftest: there is no zone " + name)
	}
	return z
}

// now is the time, for what is called without a request.
func (c *Cloud) now() time.Time { return c.cfg.Now() }
