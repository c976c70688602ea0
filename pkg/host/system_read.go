package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// partLimit bounds one file of a part, in bytes; ours have a few kilobytes.
const partLimit = 64 << 10

// systemReadings are what one visit found of a box's system.
type systemReadings struct {
	files    map[string]text   // by path
	settled  map[string]string // digests of the parts in effect, by name
	noted    bool              // [Settled] is there, whatever it says
	packages []string          // those of ours that are installed; nil: the box does not say
	clock    string            // answer of timedatectl
	swaps    string            // /proc/swaps
	account  account
	keys     text
	hostKey  hostKeyReading
}

const (
	swapsFile = "/proc/swaps"
	fstabFile = "/etc/fstab"
)

// readSystem reads everything at once over the shared connection. What only a tool of
// the box can say, and the tool is not there, is unknown and no error.
func (b box) readSystem(ctx context.Context) (systemReadings, error) {
	r := systemReadings{files: make(map[string]text)}
	g, ctx := errgroup.WithContext(ctx)
	var paths []string
	for _, p := range b.cfg.System.Parts(b.m) {
		for _, f := range p.Files {
			paths = append(paths, f.Path)
		}
	}
	found := make([]text, len(paths))
	for i, path := range paths {
		g.Go(func() (err error) { found[i], err = b.text(ctx, path, partLimit); return err })
	}
	var settled text
	g.Go(func() (err error) { settled, err = b.text(ctx, Settled, partLimit); return err })
	if len(b.cfg.System.keysOf(b.m)) > 0 {
		g.Go(func() (err error) { r.account, r.keys, err = b.readKeys(ctx); return err })
	}
	if !b.m.Given {
		g.Go(func() (err error) { r.packages, err = b.packages(ctx); return err })
		g.Go(func() (err error) { r.clock, err = b.optional(ctx, readClock()); return err })
		g.Go(func() error {
			swaps, err := b.text(ctx, swapsFile, smallLimit)
			r.swaps = swaps.body
			return err
		})
		g.Go(func() (err error) { r.hostKey, err = b.readHostKey(ctx); return err })
	}
	if err := g.Wait(); err != nil {
		return systemReadings{}, err
	}
	for i, path := range paths {
		r.files[path] = found[i]
	}
	r.settled, r.noted = parseSettled(settled.body), settled.there
	return r, nil
}

// parseSettled reads [Settled]; what is damaged says nothing is in effect.
func parseSettled(body string) map[string]string {
	out := make(map[string]string)
	if err := json.Unmarshal([]byte(body), &out); err != nil || out == nil {
		return make(map[string]string)
	}
	return out
}

// packages lists which of the packages that parts need are installed, nil where the box
// has no dpkg.
func (b box) packages(ctx context.Context) ([]string, error) {
	res, err := b.run.Run(ctx, b.at, readPackages())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named(readPackages()), err)
	}
	if absent(readPackages(), res) {
		return nil, nil
	}
	return parsePackages(string(res.Stdout)), nil // one that it does not know is no failure
}

// parsePackages reads lines of "name status".
func parsePackages(answer string) []string {
	out := []string{}
	for line := range strings.Lines(answer) {
		if name, status, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" && slices.Contains(ourPackages, name) {
			out = append(out, name)
		}
	}
	return out
}

// state is how a part stands on the box: "missing", "changed", "written, not in effect",
// "" if it is as it should be.
func (r systemReadings) state(p Part) string {
	for _, f := range p.Files {
		has := r.files[f.Path]
		switch {
		case !has.there:
			return "missing"
		case has.body != f.Text || has.warning != "":
			return "changed"
		}
	}
	if len(p.Apply) > 0 && r.settled[p.Name] != p.digest() {
		return "written, not in effect"
	}
	return ""
}

// lacks reports whether a part means nothing on the box, for want of a package.
func (r systemReadings) lacks(p Part) bool {
	return p.Needs != "" && !slices.Contains(r.packages, p.Needs)
}

// judge lists how the box differs from what the system of m asks for, and what cannot
// be put right.
func (s *System) judge(m fleet.Machine, r systemReadings) (drift []fleet.Drift, warnings []string) {
	for _, p := range s.Parts(m) {
		if r.lacks(p) {
			warnings = append(warnings, fmt.Sprintf("%s is not installed: no %s", p.Needs, p.Name))
			continue
		}
		if state := r.state(p); state != "" {
			drift = append(drift, fleet.Drift{Name: p.Name, From: state, To: p.Says, Fix: p.Fix})
		}
	}
	if r.keys.warning != "" {
		warnings = append(warnings, r.keys.warning)
	} else if missing := missingKeys(r.keys.body, s.keysOf(m)); len(missing) > 0 {
		drift = append(drift, fleet.Drift{
			Name: driftKeys, From: fmt.Sprintf("%d of %d missing", len(missing), len(s.keysOf(m))),
			To: "all let in", Fix: fleet.FixInPlace,
		})
	}
	if m.KeysProblem != "" {
		warnings = append(warnings, m.KeysProblem)
	}
	if m.Given {
		return drift, warnings
	}
	switch clockOf(r.clock) {
	case clockOff:
		drift = append(drift, fleet.Drift{Name: driftTime, From: "not synchronised", To: "synchronised", Fix: fleet.FixInPlace})
	case clockAlone:
		warnings = append(warnings, "no time service is installed: the clock may drift")
	}
	if on := swapOn(r.swaps); len(on) > 0 {
		drift = append(drift, fleet.Drift{Name: driftSwap, From: "on (" + clean(strings.Join(on, ", "), 100) + ")", To: "off", Fix: fleet.FixInPlace})
	}
	return drift, warnings
}

// What is known of a box's clock.
const (
	clockUnknown = iota
	clockKept    // by a service
	clockOff     // there is a service, and it is off
	clockAlone   // there is none
)

// clockOf reads the answer to [readClock].
func clockOf(answer string) int {
	said := make(map[string]string)
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		said[key] = value
	}
	switch {
	case said["NTP"] == "yes" || said["NTPSynchronized"] == "yes":
		return clockKept
	case said["CanNTP"] == "no":
		return clockAlone
	case said["CanNTP"] == "yes" && said["NTP"] == "no":
		return clockOff
	}
	return clockUnknown
}

// swapOn lists what the box swaps to.
func swapOn(swaps string) []string {
	var on []string
	for line := range strings.Lines(swaps) {
		if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "/") {
			on = append(on, name)
		}
	}
	return on
}

// withoutSwap comments the swap lines of an fstab out; false: there is none.
func withoutSwap(fstab string) (string, bool) {
	var out strings.Builder
	changed := false
	for line := range strings.Lines(fstab) {
		words := strings.Fields(line)
		if len(words) > 2 && words[2] == "swap" && !strings.HasPrefix(words[0], "#") {
			out.WriteString("# off by fleetctl: ")
			changed = true
		}
		out.WriteString(line)
	}
	return out.String(), changed
}

// optional runs a command whose failure only means that the box does not say.
func (b box) optional(ctx context.Context, c sshx.Command) (string, error) {
	out, err := b.exec(ctx, c)
	var exit *exitError
	if errors.As(err, &exit) {
		return "", nil
	}
	return out, err
}
