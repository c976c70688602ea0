package relay

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// telemetry is the answer of /api/telemetry, with the minutes from the UNIX second
// since on. Its counters are those on disk; see [archive.told].
func (r *Relay) telemetry(since int64, now time.Time) stats.Telemetry {
	all, life := r.archive.told(now), r.ledger.lifeNow()
	told := all.Epoch
	minutes := slices.DeleteFunc(slices.Clone(told.Users), func(m [2]int64) bool { return m[0] < since })
	return stats.Telemetry{
		PeerID: r.id.ID.String(), Now: now.Unix(), StartedAt: r.started.Unix(),
		Epoch: told.ID, Registry: life.id, Cursor: life.cursor(life.last),
		Counters: told.Counters, Gauges: r.gauges(told.Peak, now),
		Minutes: append([][2]int64{}, minutes...),
		Damaged: append([]string{}, r.archive.complaints()...),
		Lifetime: &stats.Lifetime{
			Joined: all.Joined, Left: all.Left, Granted: all.Reservations, Circuits: all.Circuits, Peak: all.Peak,
		},
	}
}

func (r *Relay) gauges(peak int, now time.Time) stats.Gauges {
	f := r.ledger.figures()
	held, _ := r.ledger.reservations(now, 0)
	g := stats.Gauges{
		Users: f.users, FleetRelays: f.fleet, Probes: f.probes, Peak: peak,
		Reservations: held, ReservationLimit: r.cfg.Limits.Reservations,
		Circuits: f.circuits, NATStatus: r.natStatus(),
		Memory: memoryUsed(), MemoryLimit: memoryLimit(),
	}
	g.DiskFree, g.DiskTotal = diskSpace(r.cfg.State)
	return g
}

// parseSince reads the minute from which a collector asks; none is all of them.
func parseSince(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	secs, err := strconv.ParseInt(text, 10, 64)
	if err != nil || secs < 0 {
		return 0, fmt.Errorf("since: %.80q: accepted are UNIX seconds", text)
	}
	return secs, nil
}
