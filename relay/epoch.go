package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// epoch is what collectors are told: counters of one life, from 0 and never falling.
// It begins with the file that it is kept in.
type epoch struct {
	ID string `json:"id"`
	stats.Counters
	Peak int `json:"peak_users"`
	// Users is how many there were at the end of a minute; see [epoch.minute].
	Users [][2]int64 `json:"users_per_minute"`
	// Open are the sessions that had not ended when the file was written: after a crash
	// they are taken for ended then.
	Open lengths `json:"open_sessions"`
	// Owed are joins of peers that turned out to be the fleet's own. A counter does not
	// fall: the next one of the kind is not counted instead.
	Owed map[string]uint64 `json:"owed,omitempty"`
}

// dayOfMinutes is how many minutes are remembered.
const dayOfMinutes = 24 * 60

func newEpoch() *epoch {
	return &epoch{ID: randomID(), Counters: stats.Counters{}.Plus(stats.Counters{SessionLengths: newLengths().Each})}
}

// lengths counts sessions by their length.
type lengths struct {
	Secs uint64   `json:"seconds"` // together
	Each []uint64 `json:"lengths"` // see stats.SessionBounds
}

func newLengths() lengths { return lengths{Each: make([]uint64, len(stats.SessionBounds())+1)} }

func (l *lengths) add(length time.Duration) {
	secs := uint64(max(0, length) / time.Second)
	l.Secs += secs
	i, _ := slices.BinarySearch(stats.SessionBounds(), secs)
	l.Each[i]++
}

// add counts what is counted by its number or its status.
func (e *epoch) add(what stats.Counters) {
	e.Granted += what.Granted
	e.Renewed += what.Renewed
	e.Circuits += what.Circuits
	for status, n := range what.RefusedReserve {
		e.RefusedReserve[status] += n
	}
	for status, n := range what.RefusedCircuit {
		e.RefusedCircuit[status] += n
	}
}

// groups are the maps that a join counts in, and the key of each.
func (e *epoch) groups(s *session) []group {
	name, version := programOf(s.agent)
	return []group{
		{"transport", e.ByTransport, transportKind(s.addr)},
		{"family", e.ByFamily, familyOf(s.addrType)},
		{"agent", e.ByAgent, name},
		{"version", e.ByVersion, version},
		{"tier", e.ByTier, s.tier},
	}
}

type group struct {
	name string
	in   map[string]uint64
	key  string
}

// join counts a user. Those connected are so many now.
func (e *epoch) join(s *session, users int) {
	e.Peak = max(e.Peak, users)
	if !e.settle("joined") {
		e.Joined++
	}
	for _, g := range e.groups(s) {
		if _, known := g.in[g.key]; !known && len(g.in) >= groupsListed {
			g.key = otherGroup
		}
		if !e.settle(g.name + "/" + g.key) {
			g.in[g.key]++
		}
	}
}

// takeBack notes that a user was none.
func (e *epoch) takeBack(s *session) {
	if e.Owed == nil {
		e.Owed = make(map[string]uint64)
	}
	e.Owed["joined"]++
	for _, g := range e.groups(s) {
		if _, known := g.in[g.key]; !known {
			g.key = otherGroup
		}
		e.Owed[g.name+"/"+g.key]++
	}
}

// settle pays for one that was counted too much, if there is one.
func (e *epoch) settle(what string) bool {
	if e.Owed[what] == 0 {
		return false
	}
	if e.Owed[what]--; e.Owed[what] == 0 {
		delete(e.Owed, what)
	}
	return true
}

func (e *epoch) leave(after time.Duration) {
	e.Left++
	ended := lengths{Secs: e.SessionSecs, Each: e.SessionLengths}
	ended.add(after)
	e.SessionSecs = ended.Secs
	e.Sessions++
}

// crashed takes what was open when the file was written for ended.
func (e *epoch) crashed() {
	e.Left = max(e.Left, e.Joined-min(e.Joined, e.Owed["joined"]))
	e.SessionSecs += e.Open.Secs
	for i, n := range e.Open.Each {
		e.SessionLengths[i] += n
		e.Sessions += n
	}
	e.Open = newLengths()
}

// minute notes how many users there are at the end of the minute that is just over. A
// clock that was set back has made what lies ahead of it untrue.
func (e *epoch) minute(now time.Time, users int) {
	begin := now.Truncate(time.Minute).Add(-time.Minute).Unix()
	for len(e.Users) > 0 && e.Users[len(e.Users)-1][0] >= begin {
		e.Users = e.Users[:len(e.Users)-1]
	}
	e.Users = append(e.Users, [2]int64{begin, int64(users)})
	if over := len(e.Users) - dayOfMinutes; over > 0 {
		e.Users = slices.Delete(e.Users, 0, over)
	}
}

// clone shares nothing with the epoch.
func (e *epoch) clone() *epoch {
	c := *e
	c.Counters = e.Plus(stats.Counters{})
	c.Users, c.Owed = slices.Clone(e.Users), maps.Clone(e.Owed)
	c.Open.Each = slices.Clone(e.Open.Each)
	return &c
}

// check reports a file that this program would not have written, and fills what it left
// out. No epoch at all is that of an earlier program.
func (e *epoch) check() error {
	if e == nil {
		return nil
	}
	for _, each := range [][]uint64{e.SessionLengths, e.Open.Each} {
		if each != nil && len(each) != len(newLengths().Each) {
			return fmt.Errorf("epoch: %d session lengths", len(each))
		}
	}
	if e.Open.Each == nil {
		e.Open = newLengths()
	}
	e.Counters = e.Plus(stats.Counters{SessionLengths: newLengths().Each})
	if !isID(e.ID) || e.Peak < 0 {
		return errors.New("epoch: no id or a negative peak")
	}
	for _, in := range []map[string]uint64{e.ByTransport, e.ByFamily, e.ByAgent, e.ByVersion, e.ByTier, e.RefusedReserve, e.RefusedCircuit} {
		if len(in) > groupsListed+1 {
			return fmt.Errorf("epoch: %d groups", len(in))
		}
	}
	if len(e.Users) > dayOfMinutes {
		return fmt.Errorf("epoch: %d minutes", len(e.Users))
	}
	for i, m := range e.Users {
		if m[0] < 0 || m[0]%60 != 0 || m[1] < 0 || i > 0 && m[0] <= e.Users[i-1][0] {
			return fmt.Errorf("epoch: minute %v", m)
		}
	}
	return nil
}
