package host

import (
	"fmt"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

const (
	// notInEffect precedes the configuration of a box whose process was started with
	// another one: the texts differ until the restart that is missing.
	notInEffect = "# Written, not in effect: the relay was not restarted since.\n"
	// clockSlack is how far the clocks of a box and of fleetctl may be apart.
	clockSlack = 5 * time.Minute
	// maxWarnings bounds what a box can make the operator read.
	maxWarnings = 10
)

// judge makes of the readings what is known of the relay at now.
func (r readings) judge(now time.Time) fleet.Relay {
	out := fleet.Relay{
		Installed: r.current != "" && r.hasConfig,
		Traces:    r.current != "" || r.hasConfig || r.system.noted,
		Active:    r.unit.runs(),
		PeerID:    r.peerID,
		SHA256:    r.current,
		Config:    r.config,
		Peers:     r.peers,
		Draining:  r.draining,
		Restarted: r.restarted,
		Warnings:  r.warnings,
	}
	warn := func(format string, args ...any) {
		out.Warnings = append(out.Warnings, fmt.Sprintf(format, args...))
	}
	if r.mark.of(r.unit) {
		out.Restarted = r.mark.Restarted // the restart that was noted since did not happen
	}
	if out.Restarted.After(now.Add(clockSlack)) {
		warn("%s lies in the future (%s) and is ignored", Restarted, out.Restarted.UTC().Format(time.RFC3339))
		out.Restarted = time.Time{}
	}
	if r.mark.unfinished(r.unit, r.config) {
		out.Config = notInEffect + r.config
	}
	switch {
	case !out.Installed && !out.Active:
		out.Reason = "no relay is installed"
	case !out.Active:
		out.Reason = r.unit.String()
		if r.ready.err == nil {
			warn("%s, yet something answers at %s", r.unit, API)
		}
	default:
		r.judgeRunning(&out, warn)
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	if more := len(out.Warnings) - maxWarnings; more > 0 {
		out.Warnings = append(out.Warnings[:maxWarnings], fmt.Sprintf("and %d more warnings", more))
	}
	return out
}

// judgeRunning adds what the running daemon says of itself.
func (r readings) judgeRunning(out *fleet.Relay, warn func(string, ...any)) {
	ready, ok, reason := readiness(r.ready)
	out.Ready, out.Reason = ok, reason
	if ok {
		out.Reason = ""
	}
	for _, w := range ready.Warnings {
		warn("%s", clean(w, 300))
	}
	out.Reservations = -1
	if r.ready.err != nil {
		return // the reason says it: nothing answers
	}
	var version stats.Version
	if err := r.version.decode(pathVersion, &version); err != nil {
		warn("%v", err)
	}
	out.Version = clean(version.Version, 80)
	switch {
	case hex64.MatchString(version.SHA256):
		out.SHA256 = version.SHA256
	case version.SHA256 != "":
		warn("%s: %q is no SHA-256", pathVersion, clean(version.SHA256, 80))
	}
	out.PeerID = r.agreed(out.PeerID, version.PeerID, warn)
	out.Reservations = r.held(warn)
}

// agreed compares the peer ID that the daemon names with the one that is known. The
// running daemon is right: its key is the one in use.
func (r readings) agreed(known, said string, warn func(string, ...any)) string {
	if said == "" {
		return known
	}
	id, err := checkPeerID(said)
	switch {
	case err != nil:
		warn("the daemon: %v", err)
		return known
	case known != "" && known != id:
		warn("%s says %s, the running daemon is %s", PeerIDFile, known, id)
	}
	return id
}

// held is how many reservations the daemon holds, -1 if it does not say so.
func (r readings) held(warn func(string, ...any)) int {
	var body heldBody
	if err := r.reservations.decode(pathReservations, &body); err != nil {
		warn("%v", err)
		return -1
	}
	switch {
	case body.Active == nil:
		warn("%s names no number of reservations", pathReservations)
		return -1
	case *body.Active < 0:
		warn("%s names a negative number of reservations (%d)", pathReservations, *body.Active)
		return -1
	}
	return *body.Active
}
