package cftest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Change is what one write did to one record.
type Change struct {
	Zone   string // its name
	Record Record // as it is now; as it was if it is gone
	Gone   bool
	At     time.Time // of the write
}

// Moment is a name at a name server right after something about it changed there.
type Moment struct {
	At     time.Time
	Change Change
	Name   string
	Values []string // of its TXT records, sorted
}

// server is one name server. It is the edge in small: a write reaches it record by record,
// each when it is due, those of one record in their order.
type server struct {
	host    string
	addr    string // "" while nobody can ask it
	delay   func(Change) time.Duration
	held    bool
	names   map[string]map[string]Record // what it answers with, by name and ID
	where   map[string]string            // name by ID
	waiting []waiting                    // in the order of the writes
	serial  map[string]uint32            // changes by zone
	history []Moment
}

// waiting is a change that the server does not know of yet.
type waiting struct {
	Change
	due  time.Time
	held bool // until it is propagated by hand
}

func newServer(host string) *server {
	return &server{host: host, names: map[string]map[string]Record{}, where: map[string]string{}, serial: map[string]uint32{}}
}

// send has a change on its way.
func (s *server) send(c Change) {
	w := waiting{Change: c, due: c.At, held: s.held}
	if s.delay != nil {
		w.due = c.At.Add(s.delay(c))
	}
	for _, before := range s.waiting {
		if before.Record.ID == c.Record.ID && before.due.After(w.due) {
			w.due = before.due
		}
	}
	s.waiting = append(s.waiting, w)
}

// settle applies what is due, in the order in which it became so.
func (s *server) settle(now time.Time) {
	var due []waiting
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool {
		ready := !w.held && !w.due.After(now)
		if ready {
			due = append(due, w)
		}
		return ready
	})
	slices.SortStableFunc(due, func(a, b waiting) int { return a.due.Compare(b.due) })
	for _, w := range due {
		s.apply(w.Change, w.due)
	}
}

// momentsKept bounds the history of a server that runs for days.
const momentsKept = 100_000

// apply makes a change seen.
func (s *server) apply(c Change, at time.Time) {
	s.serial[c.Zone]++
	id := c.Record.ID
	touched := []string{c.Record.Name}
	if old, there := s.where[id]; there {
		delete(s.names[old], id)
		if len(s.names[old]) == 0 {
			delete(s.names, old)
		}
		delete(s.where, id)
		if old != c.Record.Name {
			touched = append(touched, old)
		}
	}
	if !c.Gone {
		if s.names[c.Record.Name] == nil {
			s.names[c.Record.Name] = map[string]Record{}
		}
		s.names[c.Record.Name][id] = c.Record
		s.where[id] = c.Record.Name
	}
	for _, name := range touched {
		s.history = append(s.history, Moment{At: at, Change: c, Name: name, Values: s.values(name)})
	}
	if len(s.history) > momentsKept {
		s.history = s.history[len(s.history)-momentsKept:]
	}
}

// values are the texts at a name, each once.
func (s *server) values(name string) []string {
	found := []string{}
	for _, r := range s.names[name] {
		if r.Type == "TXT" {
			found = append(found, r.Value())
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// at are the records at a name, in an order that is neither that of the writes nor sorted.
func (s *server) at(name string) []Record {
	found := slices.Collect(maps.Values(s.names[name]))
	slices.SortFunc(found, func(a, b Record) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return found
}

// NameServer is one of the servers that answer for every zone of a cloud.
type NameServer struct {
	Host string // as in the zone's NS records
	Addr string // host:port by UDP and TCP; "" before [Cloud.ServeDNS]
}

// Servers lists the name servers; their indices are those of the other methods.
func (c *Cloud) Servers() []NameServer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []NameServer{}
	for _, s := range c.servers {
		all = append(all, NameServer{Host: s.host, Addr: s.addr})
	}
	return all
}

// Resolve is what a name server answers now to a question for TXT records: the texts,
// sorted, each once. It asks without a network.
func (c *Cloud) Resolve(server int, name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled(server).values(name)
}

// Delay sets how long changes take to a name server from now on, each by itself; nil is no
// time. A change is not overtaken by a later one of the same record.
func (c *Cloud) Delay(server int, delay func(Change) time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled(server).delay = delay
}

// Hold keeps all changes from now on away from a name server, until [Cloud.Propagate] or
// [Cloud.Release].
func (c *Cloud) Hold(server int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled(server).held = true
}

// Release ends [Cloud.Hold]: what waited for it is seen at once.
func (c *Cloud) Release(server int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.settled(server)
	s.held = false
	for i := range s.waiting {
		if s.waiting[i].held {
			s.waiting[i].held, s.waiting[i].due = false, c.now()
		}
	}
	s.settle(c.now())
}

// Propagate lets changes be seen at a name server now: those of the records with these IDs,
// or without any all that wait. It says how many there were.
func (c *Cloud) Propagate(server int, ids ...string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.settled(server)
	before := len(s.waiting)
	for i := range s.waiting {
		if len(ids) == 0 || slices.Contains(ids, s.waiting[i].Record.ID) {
			s.waiting[i].held, s.waiting[i].due = false, c.now()
		}
	}
	s.settle(c.now())
	return before - len(s.waiting)
}

// Waiting lists the changes that a name server does not know of yet, in the order in which
// they were made.
func (c *Cloud) Waiting(server int) []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []Change{}
	for _, w := range c.settled(server).waiting {
		all = append(all, w.Change)
	}
	return all
}

// History is every state in which a name server was, change by change, oldest first; the
// last 100,000.
func (c *Cloud) History(server int) []Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.settled(server).history)
}

// settled is a server as it is now.
func (c *Cloud) settled(i int) *server {
	if i < 0 || i >= len(c.servers) {
		panic(fmt.Sprintf("cftest: there is no name server %d", i))
	}
	c.servers[i].settle(c.now())
	return c.servers[i]
}
