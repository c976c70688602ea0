// Package zonetest holds the suite that every [dnsaddr.Zone] passes ([Run]), and a zone
// in memory ([Memory]) that can be made to fail, to wait and to tell what it did: for
// the tests of whoever uses a zone.
package zonetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

var _ dnsaddr.Zone = (*Memory)(nil)

// Op is what is about to be done to a [Memory].
type Op string

// The operations that a hook sees. One Apply is OpApply and then one of the others
// for each record.
const (
	OpRecords Op = "records"
	OpApply   Op = "apply"
	OpAdd     Op = "add"
	OpUpdate  Op = "update"
	OpRemove  Op = "remove"
)

// Call is one operation, told to the hook before it is done.
type Call struct {
	Op     Op
	Name   string
	Record dnsaddr.Record // of OpAdd, OpUpdate and OpRemove
}

// Moment is the set of records of one fleet right after a write to it.
type Moment struct {
	Call    Call
	At      time.Time
	Records []dnsaddr.Record // sorted
}

// Memory is a zone in memory. It keeps every intermediate state ([Memory.History])
// and counts its writes. It is safe for concurrent use; Applies do not interleave.
type Memory struct {
	applying chan struct{} // held during an Apply, so that a hook may read the zone

	mu      sync.Mutex
	next    int
	names   map[string]map[string]dnsaddr.Record // by name and ID
	history []Moment
	hook    func(context.Context, Call) error
}

// NewMemory returns an empty zone.
func NewMemory() *Memory {
	return &Memory{applying: make(chan struct{}, 1), names: make(map[string]map[string]dnsaddr.Record)}
}

// Hook sets what is called before each operation, nil for nothing. It may wait, and
// ends early when ctx does. Its error ends the operation before it changes anything; what an
// Apply did before that stays. The hook may use the zone, but not Apply or Put.
func (m *Memory) Hook(hook func(ctx context.Context, c Call) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Put writes records at name past hook and history, as somebody else would: foreign
// records, say. It gives them IDs and returns them.
func (m *Memory) Put(name string, records ...dnsaddr.Record) []dnsaddr.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(records)
	for i := range out {
		out[i].ID = m.put(name, out[i])
		out[i].Name = strings.ToLower(cmp.Or(out[i].Name, name))
	}
	return out
}

// Edit changes each record at the fleet's names past hook and history, as somebody else
// would. IDs and names stay.
func (m *Memory) Edit(name string, edit func(r *dnsaddr.Record)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.names[name] {
		edited := r
		edit(&edited)
		edited.ID, edited.Name = r.ID, r.Name
		m.names[name][id] = edited
	}
}

// History returns every state in which a fleet's names were left by a write, oldest first.
func (m *Memory) History() []Moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.history)
}

// Writes is the number of records written or removed by Apply so far.
func (m *Memory) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.history)
}

// Records implements [dnsaddr.Zone].
func (m *Memory) Records(ctx context.Context, name string) ([]dnsaddr.Record, error) {
	if err := m.before(ctx, Call{Op: OpRecords, Name: name}); err != nil {
		return nil, fmt.Errorf("%s: list records: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list(name), nil
}

// Apply implements [dnsaddr.Zone].
func (m *Memory) Apply(ctx context.Context, name string, c dnsaddr.Changes) error {
	select {
	case m.applying <- struct{}{}:
		defer func() { <-m.applying }()
	case <-ctx.Done():
		return fmt.Errorf("%s: apply: %w", name, ctx.Err())
	}
	if err := m.before(ctx, Call{Op: OpApply, Name: name}); err != nil {
		return fmt.Errorf("%s: apply: %w", name, err)
	}
	if err := dnsaddr.CheckChanges(name, c, m.Limits()); err != nil {
		return fmt.Errorf("%s: apply: %w", name, err)
	}
	for _, step := range steps(name, c) {
		if err := m.before(ctx, step); err != nil {
			return fmt.Errorf("%s: %s %s: %w", name, step.Op, step.Record.Value, err)
		}
		if err := m.do(step); err != nil {
			return fmt.Errorf("%s: %s %s: %w", name, step.Op, step.Record.Value, err)
		}
	}
	return nil
}

// steps are the single writes of an Apply, in the order of the contract.
func steps(name string, c dnsaddr.Changes) []Call {
	var out []Call
	for _, part := range []struct {
		op      Op
		records []dnsaddr.Record
	}{{OpAdd, c.Add}, {OpUpdate, c.Update}, {OpRemove, c.Remove}} {
		for _, r := range part.records {
			r.Name = strings.ToLower(cmp.Or(r.Name, name))
			out = append(out, Call{Op: part.op, Name: name, Record: r})
		}
	}
	return out
}

// do makes one write and keeps the state after it.
func (m *Memory) do(c Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	records := m.names[c.Name]
	old, there := records[c.Record.ID]
	switch c.Op {
	case OpAdd:
		if hasTwin(records, c.Record) {
			return nil
		}
		c.Record.ID = m.put(c.Name, c.Record)
	case OpUpdate:
		if !there {
			return dnsaddr.ErrNoRecord
		}
		if err := dnsaddr.CheckUpdate(old, c.Record); err != nil {
			return err
		}
		old.TTL, old.Comment, old.Split = c.Record.TTL, c.Record.Comment, false
		records[old.ID] = old
	case OpRemove:
		if !there {
			return nil
		}
		if err := dnsaddr.CheckRemoval(old, c.Record); err != nil {
			return err
		}
		delete(records, c.Record.ID)
	}
	m.history = append(m.history, Moment{Call: c, At: time.Now(), Records: m.list(c.Name)})
	return nil
}

func hasTwin(records map[string]dnsaddr.Record, r dnsaddr.Record) bool {
	for _, other := range records {
		if other.Name == r.Name && other.Value == r.Value && other.Comment == r.Comment {
			return true
		}
	}
	return false
}

// put stores a record under a new ID. The caller holds mu.
func (m *Memory) put(name string, r dnsaddr.Record) string {
	m.next++
	r.ID, r.Name = "mem-"+strconv.Itoa(m.next), strings.ToLower(cmp.Or(r.Name, name))
	if m.names[name] == nil {
		m.names[name] = make(map[string]dnsaddr.Record)
	}
	m.names[name][r.ID] = r
	return r.ID
}

// list returns the records of a name, sorted. The caller holds mu.
func (m *Memory) list(name string) []dnsaddr.Record {
	return append([]dnsaddr.Record{}, slices.SortedFunc(maps.Values(m.names[name]), dnsaddr.Record.Compare)...)
}

// before calls the hook.
func (m *Memory) before(ctx context.Context, c Call) error {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, c); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Limits implements [dnsaddr.Zone].
func (m *Memory) Limits() dnsaddr.Limits {
	return dnsaddr.Limits{MinTTL: time.Second, MaxTTL: 24 * time.Hour}
}

// Status implements [dnsaddr.Zone].
func (m *Memory) Status(context.Context) dnsaddr.Status {
	return dnsaddr.Status{Kind: "memory", Serving: true}
}
