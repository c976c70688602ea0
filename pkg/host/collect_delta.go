package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// place is how far a relay was read: a cursor of its census, and the first minute, in
// UNIX seconds, that was not read yet.
type place struct {
	census string
	since  int64

	failed bool  // what follows was damaged
	left   int   // entries before it made no sense when all of it was read, and are left out
	at     int64 // when all of it was read last because something was damaged, UNIX seconds
}

// String is "CURSOR", "CURSOR@MINUTE" or, where something was damaged,
// "CURSOR@MINUTE~FAILED,LEFT,AT".
func (p place) String() string {
	text := p.census
	if p.since != 0 {
		text += "@" + strconv.FormatInt(p.since, 10)
	}
	if p.failed || p.left > 0 || p.at > 0 {
		failed := 0
		if p.failed {
			failed = 1
		}
		text += fmt.Sprintf("~%d,%d,%d", failed, p.left, p.at)
	}
	return text
}

// parsePlace reads what String wrote. What is no number is none: minutes are read again.
func parsePlace(text string) place {
	text, marks, _ := strings.Cut(text, "~")
	census, minute, _ := strings.Cut(text, "@")
	p := place{census: census, since: natural(minute)}
	if all := strings.Split(marks, ","); len(all) == 3 {
		p.failed, p.left, p.at = natural(all[0]) > 0, int(natural(all[1])), natural(all[2])
	}
	return p
}

// natural is a number in text, 0 if it is none.
func natural(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(0, n)
}

func (p place) telemetryPath() string {
	if p.since == 0 {
		return pathTelemetry
	}
	return pathTelemetry + "?since=" + strconv.FormatInt(p.since, 10)
}

// after is the first minute to read next time. A relay whose clock was set back writes
// minutes before the ones that were read, so that is never later than its now.
func (p place) after(t *stats.Telemetry) int64 {
	if t == nil {
		return p.since
	}
	since := p.since
	if n := len(t.Minutes); n > 0 {
		since = t.Minutes[n-1][0] + 60
	}
	return min(since, t.Now-t.Now%60)
}

// readAgain is how long entries that make no sense are left out before all is read again.
const readAgain = 24 * time.Hour

// changes is what was read of a census, and where to go on.
type changes struct {
	delta
	place   place
	carried int // entries that are left out since an earlier reading
}

// changes reads what changed in the census since a place. What is damaged is read again
// the next time. If it is damaged then too, all is read from the beginning: what makes no
// sense in that is left out, and the place is after it. Of a census of which something was
// left out, all is read again after a day.
func (a api) changes(ctx context.Context, held place, now time.Time) changes {
	due := held.at == 0 || held.at > now.Unix() || now.Sub(time.Unix(held.at, 0)) >= readAgain
	if held.left > 0 && due {
		return a.whole(ctx, held, now)
	}
	d := a.delta(ctx, held.census)
	if !d.read {
		return changes{delta: d, place: held}
	}
	if d.wrong(held) && held.failed && due {
		if all := a.whole(ctx, held, now); all.err == nil || d.err != nil {
			return all
		}
	}
	out := changes{delta: d, place: held, carried: held.left}
	if d.full {
		out.place.left, out.place.at, out.carried = 0, 0, 0
	}
	if d.err != nil || d.left > 0 && !held.failed {
		out.place.census, out.place.failed = d.sound, d.wrong(held)
		return out
	}
	out.place.census, out.place.failed = d.cursor, false
	if out.place.left += d.left; d.full && d.left > 0 {
		out.place.at = now.Unix()
	}
	return out
}

// whole reads a census from the beginning because something in it was damaged. If that
// cannot be done, nothing was read, and the place stays.
func (a api) whole(ctx context.Context, held place, now time.Time) changes {
	d := a.delta(ctx, "")
	p := held
	p.at = now.Unix()
	if d.err != nil {
		d.read = false
		return changes{delta: d, place: p}
	}
	p.census, p.failed, p.left = d.cursor, false, d.left
	return changes{delta: d, place: p}
}

// delta is what was read of what changed.
type delta struct {
	read    bool // as far as cursor says, and perhaps a part of the page after that
	full    bool
	entries []stats.CensusEntry
	cursor  string
	sound   string // the cursor before the first page with damaged entries
	left    int    // damaged entries
	damaged []error
	err     error // why no more was read
}

// wrong reports whether an entry is damaged, or the first page was not read to its end.
func (d delta) wrong(held place) bool { return d.left > 0 || d.err != nil && d.sound == held.census }

// delta reads what changed in the census after a cursor, page by page.
func (a api) delta(ctx context.Context, after string) delta {
	d := delta{cursor: after, sound: after}
	left := int64(stats.MaxRegistry)
	for range maxPages {
		page, size, err := a.page(ctx, d.cursor)
		if page.Entries != nil {
			if page.Full || !d.read {
				d.read, d.full, d.entries = true, page.Full, []stats.CensusEntry{}
			}
			d.entries = append(d.entries, page.Entries...)
		}
		var damaged *stats.DamagedError
		switch {
		case errors.As(err, &damaged):
			d.damaged = append(d.damaged, err)
			d.left += damaged.Damaged
		case err != nil:
			d.err = err
			return d
		}
		asked := d.cursor
		d.cursor = page.End.Cursor
		if d.left == 0 {
			d.sound = d.cursor
		}
		if !page.End.More {
			return d
		}
		if left -= size; left < 0 || d.cursor == asked {
			d.err = fmt.Errorf("GET %s: pages without end", pathDelta)
			return d
		}
	}
	d.damaged = append(d.damaged, fmt.Errorf("GET %s: more than %d pages: the rest is read next time", pathDelta, maxPages))
	return d
}

// page reads one page, and how large it was.
func (a api) page(ctx context.Context, after string) (stats.CensusPage, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	path := pathDelta
	if after != "" {
		path += "?after=" + url.QueryEscape(after)
	}
	body, err := a.open(ctx, path)
	if err != nil {
		return stats.CensusPage{}, 0, err
	}
	defer body.close()
	if body.status != http.StatusOK {
		said, _ := body.all(4096)
		return stats.CensusPage{}, 0, fmt.Errorf("GET %s: status %d: %s", pathDelta, body.status, clean(string(said), 200))
	}
	counted := &counter{r: body.r}
	page, err := stats.ParseDelta(counted, time.Now())
	if err != nil {
		err = fmt.Errorf("GET %s: %w", pathDelta, err)
	}
	return page, counted.n, err
}
