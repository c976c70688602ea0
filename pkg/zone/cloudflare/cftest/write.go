package cftest

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// tx is one transaction on a zone: nothing is seen of it until it is committed.
type tx struct {
	c       *Cloud
	zone    *zone
	now     time.Time
	records map[string]*record
	changes []Change
}

func (c *Cloud) newTx(z *zone, now time.Time) *tx {
	return &tx{c: c, zone: z, now: now, records: maps.Clone(z.records)}
}

// commit makes the changes, and sends them to the name servers.
func (t *tx) commit() {
	t.zone.records = t.records
	if !t.c.serves(t.zone) {
		return
	}
	for _, s := range t.c.servers {
		for _, change := range t.changes {
			s.send(change)
		}
		s.settle(t.now)
	}
}

func (t *tx) post(f form) (*record, *refusal) {
	t.c.ids++
	r := &record{seq: t.c.ids, noted: t.now}
	r.Record = f.onto(Record{ID: hash("record", r.stamp(t)), TTL: Auto, Created: t.now, Modified: t.now}, t.zone.Name)
	if len(t.records) >= t.zone.allowance.records {
		if refused := t.zone.check(r.Record); refused != nil {
			return nil, refused
		}
		return nil, refuse(http.StatusBadRequest, codeQuota, "Record quota exceeded.")
	}
	return t.store(r)
}

// stamp is different for every record of every cloud that is not a copy of another.
func (r *record) stamp(t *tx) string { return t.zone.ID + "/" + time.Duration(r.seq).String() }

// patch changes what the form says, and put has everything else go back to what it is by
// default.
func (t *tx) patch(id string, f form) (*record, *refusal) {
	old := t.records[id]
	if old == nil {
		return nil, noRecord()
	}
	r := *old
	r.Record = f.onto(old.Record, t.zone.Name)
	return t.replace(old, &r)
}

func (t *tx) put(id string, f form) (*record, *refusal) {
	old := t.records[id]
	if old == nil {
		return nil, noRecord()
	}
	r := *old
	r.Record = f.onto(Record{ID: old.ID, TTL: Auto, Created: old.Created}, t.zone.Name)
	return t.replace(old, &r)
}

func (t *tx) replace(old, r *record) (*record, *refusal) {
	r.Modified = t.now
	if r.Comment != old.Comment {
		r.noted = t.now
	}
	return t.store(r)
}

func (t *tx) delete(id string) (*record, *refusal) {
	old := t.records[id]
	if old == nil {
		return nil, noRecord()
	}
	delete(t.records, id)
	t.changes = append(t.changes, Change{Zone: t.zone.Name, Record: old.Record, Gone: true, At: t.now})
	return old, nil
}

// store puts a record beside the others, or in the place of itself.
func (t *tx) store(r *record) (*record, *refusal) {
	if refused := t.zone.check(r.Record); refused != nil {
		return nil, refused
	}
	r.value = r.Record.Value()
	if refused := t.fits(r); refused != nil {
		return nil, refused
	}
	t.records[r.ID] = r
	t.changes = append(t.changes, Change{Zone: t.zone.Name, Record: r.Record, At: t.now})
	return r, nil
}

// fits refuses a record that cannot be beside the others.
func (t *tx) fits(r *record) *refusal {
	total := len(r.Content)
	for _, other := range t.records {
		if other.Name != r.Name || other.ID == r.ID {
			continue
		}
		if refused := t.beside(r, other); refused != nil {
			return refused
		}
		if other.Type == r.Type {
			total += len(other.Content)
		}
	}
	if total > maxContent {
		// The limit is documented, its code is not.
		return invalid(codeRecordSetLength, "The content of all %s records of %s has %d characters, exceeding the limit of %d.", r.Type, r.Name, total, maxContent)
	}
	return nil
}

// beside refuses two records that cannot be at one name. That a CNAME keeps out every other
// type is what DNS says; Cloudflare documents it of A and AAAA.
func (t *tx) beside(r, other *record) *refusal {
	switch {
	case t.same(r, other):
		if t.c.cfg.DuplicateCode == codeIdentical {
			return refuse(http.StatusBadRequest, codeIdentical, "An identical record already exists.")
		}
		return refuse(http.StatusBadRequest, t.c.cfg.DuplicateCode, "The record already exists.")
	case r.Type == "CNAME" || other.Type == "CNAME":
		return refuse(http.StatusBadRequest, codeHostTaken, "An A, AAAA, or CNAME record with that host already exists.")
	case (r.Type == "NS") != (other.Type == "NS") && r.Name != t.zone.Name:
		return refuse(http.StatusBadRequest, codeNSTaken, "NS records with that host already exist.")
	}
	return nil
}

// same reports whether two records of a name are identical. Comment and TTL do not count.
func (t *tx) same(r, other *record) bool {
	if r.Type != other.Type || r.Priority != other.Priority {
		return false
	}
	if r.Type == "TXT" && t.c.cfg.QuotesDiffer {
		return r.Content == other.Content
	}
	if r.Type == "TXT" {
		return r.value == other.value
	}
	return strings.EqualFold(strings.TrimSuffix(r.Content, "."), strings.TrimSuffix(other.Content, "."))
}
