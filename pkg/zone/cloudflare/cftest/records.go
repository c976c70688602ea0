package cftest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// read decodes the body of a record.
func (c *Cloud) read(q *call, raw json.RawMessage) (form, *refusal) {
	var f form
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, refuse(http.StatusBadRequest, codeBody, "Request body is invalid.")
	}
	if more := unknown(raw, formKeys); len(more) > 0 {
		c.violation(fmt.Sprintf("request %s %s: unknown keys %s", q.route.method, q.r.URL.Path, strings.Join(more, ", ")))
	}
	return f, nil
}

// one performs a call that writes one record.
func (c *Cloud) one(q *call, do func(t *tx, f form) (*record, *refusal)) answer {
	f, refused := c.read(q, q.body)
	if refused != nil {
		return refused.answer()
	}
	t := c.newTx(q.zone, q.now)
	r, refused := do(t, f)
	if refused != nil {
		return refused.answer()
	}
	t.commit()
	return ok(r.body())
}

func createRecord(c *Cloud, q *call) answer {
	return c.one(q, func(t *tx, f form) (*record, *refusal) { return t.post(f) })
}

func patchRecord(c *Cloud, q *call) answer {
	return c.one(q, func(t *tx, f form) (*record, *refusal) { return t.patch(q.params["dns_record_id"], f) })
}

func putRecord(c *Cloud, q *call) answer {
	return c.one(q, func(t *tx, f form) (*record, *refusal) { return t.put(q.params["dns_record_id"], f) })
}

func deleteRecord(c *Cloud, q *call) answer {
	t := c.newTx(q.zone, q.now)
	r, refused := t.delete(q.params["dns_record_id"])
	if refused != nil {
		return refused.answer()
	}
	t.commit()
	return ok(map[string]any{"id": r.ID})
}

func getRecord(_ *Cloud, q *call) answer {
	r := q.zone.records[q.params["dns_record_id"]]
	if r == nil {
		return noRecord().answer()
	}
	return ok(r.body())
}

// batch is the body of a batch; it is performed in the order of the fields.
type batch struct {
	Deletes []json.RawMessage `json:"deletes"`
	Patches []json.RawMessage `json:"patches"`
	Puts    []json.RawMessage `json:"puts"`
	Posts   []json.RawMessage `json:"posts"`
}

func (b batch) operations() int { return len(b.Deletes) + len(b.Patches) + len(b.Puts) + len(b.Posts) }

// runBatch performs all operations or, at the first that is refused, none.
func runBatch(c *Cloud, q *call) answer {
	var b batch
	if err := json.Unmarshal(q.body, &b); err != nil {
		return refuse(http.StatusBadRequest, codeBody, "Request body is invalid.").answer()
	}
	if more := unknown(q.body, []string{"deletes", "patches", "puts", "posts"}); len(more) > 0 {
		c.violation(fmt.Sprintf("request %s %s: unknown keys %s", q.route.method, q.r.URL.Path, strings.Join(more, ", ")))
	}
	if n := b.operations(); n > q.zone.operations {
		// The limit is documented, its code is not.
		return invalid(codeBatchLength, "Batch has %d operations, exceeding the limit of %d.", n, q.zone.operations).answer()
	}
	t := c.newTx(q.zone, q.now)
	result := map[string]any{}
	for _, part := range []struct {
		name string
		list []json.RawMessage
		do   func(f form) (*record, *refusal)
	}{
		{"deletes", b.Deletes, func(f form) (*record, *refusal) { return t.delete(f.ID) }},
		{"patches", b.Patches, func(f form) (*record, *refusal) { return t.patch(f.ID, f) }},
		{"puts", b.Puts, func(f form) (*record, *refusal) { return t.put(f.ID, f) }},
		{"posts", b.Posts, t.post},
	} {
		done := []recordBody{}
		for _, raw := range part.list {
			f, refused := c.read(q, raw)
			var r *record
			if refused == nil {
				r, refused = part.do(f)
			}
			if refused != nil {
				return c.batchRefusal(refused)
			}
			done = append(done, r.body())
		}
		result[part.name] = done
		if c.cfg.NullLists && part.list == nil {
			result[part.name] = nil
		}
	}
	t.commit()
	return ok(result)
}

func (c *Cloud) batchRefusal(refused *refusal) answer {
	if c.cfg.BatchStatus != 0 {
		refused.status = c.cfg.BatchStatus
	}
	return refused.answer()
}

// sorted lists the records of a zone in the order in which they came.
func (z *zone) sorted() []*record {
	all := make([]*record, 0, len(z.records))
	for _, r := range z.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *record) int { return a.seq - b.seq })
	return all
}
