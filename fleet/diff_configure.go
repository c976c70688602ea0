package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// restartInterval is how long a relay that was restarted is left alone: clients put a
// relay that they lost into a back-off of one hour (go-libp2p, autorelay.WithBackoff).
const restartInterval = time.Hour

// fieldRelease marks a change that also installs the release.
const fieldRelease = "release"

// configure brings the daemons of slot holders to what the spec says.
func (p *planner) configure() {
	var fresh, restarts []Change
	for _, s := range p.slots {
		m, ok := p.held(s.Node)
		switch {
		case !ok:
			if p.ordered[s.Node] {
				fresh = append(fresh, Change{
					Action: ActionConfigure, Ref: Ref{Kind: KindMachine, Node: s.Node},
					Fields: p.releaseField(""), Reason: "new machine",
				})
			}
			continue
		case m.Unmarked:
			p.unmarked(m)
			continue
		case m.Status == StatusPending:
			p.postpone(ActionConfigure, machineRef(m), "the machine to be made", true)
			continue
		case m.Status == StatusStopped && m.untouchable():
			p.keep(machineRef(m), "it is switched off, and fleetctl does not switch it on: "+m.whyUntouchable(), true)
			continue
		case m.Status == StatusStopped:
			p.postpone(ActionConfigure, machineRef(m), "the machine to run", true)
			continue
		}
		rel, ok := p.reading(m)
		if !ok {
			p.unreadable(m)
			continue
		}
		p.converge(m, rel, &fresh, &restarts)
	}
	p.stage(StageConfigure, stageParallel, p.settling)
	p.stage(StageConfigure, stageParallel, fresh)
	p.restarts(restarts, len(fresh) > 0)
}

// restarts puts off what would leave fewer verified relays than the floor while it goes
// on. healing says that other relays are on their way up.
func (p *planner) restarts(all []Change, healing bool) {
	if len(all) == 0 {
		return
	}
	verified := len(p.ledger().all)
	room := p.roomToRestart()
	if room > 0 {
		p.stage(StageConfigure, min(p.spec.Rollout.MaxParallel, room), all)
		return
	}
	var now []Change
	for _, c := range all {
		m, _ := find(p.state.Machines.Value, c.Ref)
		if !p.servesClients(m) {
			now = append(now, c)
			continue
		}
		p.postpone(c.Action, c.Ref, fmt.Sprintf("more relays to serve: restarting it leaves %d verified, the floor is %d; "+
			"add a node, run `fleetctl replace-region`, or lower dns.min_relays", verified-1, p.spec.DNS.MinRelays), healing)
	}
	p.stage(StageConfigure, p.spec.Rollout.MaxParallel, now)
}

// unreadable leaves a box alone that did not answer, and says so. One that was never
// published may still be on its way up.
func (p *planner) unreadable(m Machine) {
	p.keep(machineRef(m), "its box could not be read, so nothing is changed on it: "+p.whyUnread(m), true)
	if m.Problem == "" && p.stranger(m) {
		p.postpone(ActionConfigure, machineRef(m), "its box to answer", true)
	}
}

// keepUnread says, where no box is touched, which of them did not answer: whatever their
// relays publish stays.
func (p *planner) keepUnread() {
	for _, s := range p.slots {
		m, held := p.held(s.Node)
		if !held || m.Unmarked || m.Status != StatusRunning {
			continue
		}
		if _, read := p.reading(m); !read {
			p.keep(machineRef(m), "its box could not be read, so its records stay as they are: "+p.whyUnread(m), true)
		}
	}
}

// whyUnread is why there is no reading of a box.
func (p *planner) whyUnread(m Machine) string {
	if err := p.state.Relays[m.ID].Err; err != nil {
		return err.Error()
	}
	return "no reading"
}

// converge compares one readable box with the spec.
func (p *planner) converge(m Machine, rel Relay, fresh, restarts *[]Change) {
	ref := machineRef(m)
	for _, w := range rel.Warnings {
		p.keep(ref, w, true)
	}
	if m.Adopted {
		p.keep(ref, "adopted and not taken over: nothing is changed on it until `fleetctl adopt --take-over "+m.Node+"`", false)
		return
	}
	if rel.Installed {
		p.settle(m, rel)
	}
	switch {
	case !rel.Installed:
		*fresh = append(*fresh, Change{Action: ActionConfigure, Ref: ref, Fields: p.releaseField(""), Reason: "the relay is not installed"})
		return
	case !rel.Active:
		var fields []Field
		if p.want.Upgrade {
			fields = p.releaseField(rel.SHA256)
		}
		*fresh = append(*fresh, Change{Action: ActionConfigure, Ref: ref, Fields: fields, Reason: "the relay does not run: " + rel.Reason})
		return
	}
	fields := append(configFields(rel.Config, configOf(p.spec, m, p.limits)), driftFields(rel.Drift, FixRestart)...)
	if p.want.Upgrade {
		fields = append(fields, p.releaseField(rel.SHA256)...)
	} else if len(p.releaseField(rel.SHA256)) > 0 {
		p.keep(ref, "runs another release ("+shortDigest(rel.SHA256)+", "+rel.Version+") than would be installed ("+
			shortDigest(p.want.Release.SHA256)+", "+p.want.Release.Version+"); `fleetctl up --upgrade` changes it", false)
	}
	if len(fields) > 0 {
		p.restart(m, rel, fields, restarts)
		return
	}
	if !rel.Ready && !rel.Draining {
		p.keep(ref, "the relay runs and is not ready: "+rel.Reason, true)
		p.postpone(ActionConfigure, ref, "its relay to serve", true) // it may have been started a moment ago
	}
}

// restart plans new settings for a relay that runs, at most once an hour.
func (p *planner) restart(m Machine, rel Relay, fields []Field, restarts *[]Change) {
	since := p.state.At.Sub(rel.Restarted) // a box whose clock is ahead does not put it off
	if since >= 0 && since < restartInterval && !p.want.Force {
		p.postpone(ActionRestart, machineRef(m), "an hour to pass since its last restart, because clients back off for one; --force does it now", false)
		return
	}
	*restarts = append(*restarts, Change{Action: ActionRestart, Ref: machineRef(m), Fields: fields, Reason: "changed: " + fieldNames(fields)})
}

// releaseField is the difference between an installed release and the one to install,
// none if they are the same or there is nothing to install.
func (p *planner) releaseField(have string) []Field {
	if w := p.want.Release.SHA256; w != "" && w != have {
		return []Field{{Name: fieldRelease, From: shortDigest(have), To: shortDigest(w)}}
	}
	return nil
}

// shortDigest is a digest for people.
func shortDigest(sha256 string) string { return sha256[:min(len(sha256), 12)] }

// introduce tells every relay of the others.
func (p *planner) introduce() {
	changes := make([]Change, 0, len(p.slots))
	strangers := p.strangers()
	known, room := p.known(), make([]string, 0, introductions)
	for i, s := range p.slots {
		m, ok := p.held(s.Node)
		if !ok {
			continue
		}
		rel, ok := p.reading(m)
		if !ok || m.untouchable() {
			continue
		}
		if !rel.Installed {
			if !strangers { // else every relay's is postponed
				p.postpone(ActionIntroduce, machineRef(m), "its relay to be installed", false)
			}
			continue
		}
		if want := others(room, known, i); !slices.Equal(want, rel.Peers) {
			changes = append(changes, Change{
				Action: ActionIntroduce, Ref: machineRef(m),
				Fields: []Field{{Name: "peers", From: strings.Join(rel.Peers, " "), To: strings.Join(want, " ")}},
				Reason: "the relays of a fleet know each other",
			})
		}
	}
	p.stage(StageConfigure, stageParallel, changes)
	if strangers {
		for _, s := range p.slots {
			p.postpone(ActionIntroduce, Ref{Kind: KindMachine, Node: s.Node}, "the peer IDs of the new relays", false)
		}
	}
}

// strangers reports whether some slot's relay has no known address yet.
func (p *planner) strangers() bool {
	return slices.ContainsFunc(p.slots, func(s Slot) bool {
		m, held := p.held(s.Node)
		return !held || p.stranger(m)
	})
}

// stranger reports whether the relay of a slot's holder has no known address yet: it
// tells none, and no record can be its own.
func (p *planner) stranger(m Machine) bool {
	peer := p.peer(m)
	return peer == "" && !p.mayBePublished(m, nil)
}

// introductions is how many others each relay is told of: enough for its routing table
// to find all of them, and few enough for a fleet of a thousand.
const introductions = 16

// known are the addresses of each slot's relay. One whose holder has no address yet is known
// by the records that stand for it.
func (p *planner) known() [][]string {
	out := make([][]string, len(p.slots))
	for i, s := range p.slots {
		m, _ := p.held(s.Node)
		targets := p.wanted[m.ID]
		out[i] = make([]string, 0, max(1, len(targets)))
		for _, t := range targets {
			out[i] = append(out[i], t.addr.String())
		}
		if len(targets) == 0 {
			for _, rec := range p.byNode[s.Node] {
				if a := p.addr(rec); !a.IsZero() {
					out[i] = append(out[i], a.String())
				}
			}
		}
	}
	return out
}

// others lists the addresses of the relays that follow a slot, in the spec's order and
// around its end, sorted. They are appended to out, which may be used again.
func others(out []string, known [][]string, at int) []string {
	for i := 1; i < len(known) && len(out) < introductions; i++ {
		out = append(out, known[(at+i)%len(known)]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
