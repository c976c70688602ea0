package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/pkg/web"
)

const (
	eventsShown = 60
	auditTail   = 64 << 10 // bytes of the audit log that are read
)

// transitions are the relays whose state is another one than a moment ago.
func transitions(before, after web.Fleet, now time.Time) []web.Event {
	if before.LookedAt.IsZero() || after.LookedAt.IsZero() || before.Name != after.Name {
		return nil
	}
	type machine struct {
		node string
		nth  int // of the node: one that is being replaced has two
	}
	count, was := make(map[string]int), make(map[machine]string, len(before.Relays))
	for _, r := range before.Relays {
		count[r.Node]++
		was[machine{r.Node, count[r.Node]}] = r.State
	}
	clear(count)
	var out []web.Event
	for _, r := range after.Relays {
		count[r.Node]++
		if old, known := was[machine{r.Node, count[r.Node]}]; known && old == r.State {
			continue
		}
		text := r.Node + " is " + r.State
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		out = append(out, web.Event{At: now, Kind: "relay", Node: r.Node, Text: text})
	}
	return out
}

// newest puts what happened now before what happened earlier, as many as are shown.
func newest(now, earlier []web.Event) []web.Event {
	all := append(slices.Clone(now), earlier...)
	return all[:min(len(all), eventsShown)]
}

// merged is one list of several, the newest first.
func merged(lists ...[]web.Event) []web.Event {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b web.Event) int { return b.At.Compare(a.At) })
	return all[:min(len(all), eventsShown)]
}

// commands are the newest entries of this computer's audit log: who changed the fleet. A
// log that cannot be read has none.
func (s *session) commands() []web.Event {
	f, err := os.Open(s.dir.AuditLog())
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-auditTail), auditTail))
	if err != nil {
		return nil
	}
	return commandsIn(text)
}

// commandsIn reads lines of an audit log. One that was cut off is left out.
func commandsIn(text []byte) []web.Event {
	var out []web.Event
	for line := range bytes.Lines(text) {
		var e statedir.Entry
		if json.Unmarshal(line, &e) != nil || e.At.IsZero() {
			continue
		}
		what := "fleetctl " + strings.Join(e.Command, " ") + ": " + e.Result + ", by " + e.User + "@" + e.Host
		if e.Error != "" {
			what += ": " + e.Error
		}
		out = append(out, web.Event{At: e.At.UTC(), Kind: "command", Text: what})
	}
	slices.Reverse(out)
	return out[:min(len(out), eventsShown)]
}
