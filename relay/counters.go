package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// minutesKept is how many minutes with joins or leaves are remembered.
const minutesKept = 60

// counters is what survives a restart beside the census: <state>/relay-counters.json.
// All of it was counted at the server, without the fleet's own relays and probes.
type counters struct {
	Version      int     `json:"version"` // 1
	Joined       uint64  `json:"joined"`
	Left         uint64  `json:"left"`
	Peak         int     `json:"peak"`      // users connected at once
	Forgotten    uint64  `json:"forgotten"` // peers that the census had to drop
	Reservations uint64  `json:"reservations"`
	Circuits     uint64  `json:"circuits"`
	Joins        minutes `json:"joins_per_minute"`
	Leaves       minutes `json:"leaves_per_minute"`
	// Epoch is what collectors are told. A daemon that does not know it yet keeps the
	// numbers above and drops it: after that it begins again.
	Epoch *epoch `json:"epoch,omitempty"`
}

// minutes are the newest minutes that saw something: [start in UNIX seconds, count].
type minutes [][2]int64

// add counts n at that time and drops what is older than the newest minutesKept. A
// clock that was set back counts into the newest minute.
func (m *minutes) add(now time.Time, n int64) {
	start := now.Truncate(time.Minute).Unix()
	last := len(*m) - 1
	switch {
	case last >= 0 && (*m)[last][0] >= start:
		(*m)[last][1] = max(0, (*m)[last][1]+n)
	case n > 0:
		*m = append(*m, [2]int64{start, n})
	}
	if over := len(*m) - minutesKept; over > 0 {
		*m = slices.Delete(*m, 0, over)
	}
}

// check reports a file that this program would not have written.
func (m minutes) check() error {
	if len(m) > minutesKept {
		return fmt.Errorf("%d minutes", len(m))
	}
	for i, bucket := range m {
		if bucket[0] < 0 || bucket[1] < 0 || (i > 0 && bucket[0] <= m[i-1][0]) {
			return fmt.Errorf("minute %v", bucket)
		}
	}
	return nil
}

// parseCounters reads the text of relay-counters.json.
func parseCounters(text []byte) (counters, error) {
	var c counters
	if err := json.Unmarshal(text, &c); err != nil {
		return counters{}, err
	}
	if c.Version != 1 {
		return counters{}, fmt.Errorf("version %d: accepted is 1", c.Version)
	}
	if c.Peak < 0 {
		return counters{}, fmt.Errorf("peak %d", c.Peak)
	}
	if err := errors.Join(c.Joins.check(), c.Leaves.check(), c.Epoch.check()); err != nil {
		return counters{}, err
	}
	return c, nil
}
