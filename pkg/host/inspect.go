package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/stats"
)

// Bounds of the small files on a box.
const (
	configLimit = 1 << 20
	peersLimit  = 1 << 20
	smallLimit  = 4 << 10
)

// What the daemon is asked in an inspection.
const (
	pathReady        = "/readyz"
	pathVersion      = "/api/version"
	pathReservations = "/api/reservations"
)

// readings are what one visit to a box found, before it is judged.
type readings struct {
	unit      unit
	current   string // SHA-256 of the release that the link points to
	config    string
	hasConfig bool
	peerID    string
	peers     []string
	draining  bool
	restarted time.Time
	mark      mark
	warnings  []string

	ready, version, reservations answer

	system   systemReadings // zero where the box has none of its own
	unitText string         // the service's own file …
	hasUnit  bool           // … if there is one
}

// Inspect reads a box and changes nothing. A box whose SSH works and whose daemon does
// not is a reading; a box that cannot be read is an error.
func (h *Hosts) Inspect(ctx context.Context, m fleet.Machine) (fleet.Relay, error) {
	b, err := h.box(m)
	if err != nil {
		return fleet.Relay{}, err
	}
	if m.Adopted {
		return b.adopted(ctx)
	}
	r, err := b.visit(ctx)
	if err != nil {
		return fleet.Relay{}, err
	}
	out := r.judge(time.Now())
	b.judgeSystem(r, &out)
	return out, nil
}

// visit reads everything at once over the shared connection.
func (b box) visit(ctx context.Context) (readings, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ReadTimeout)
	defer cancel()
	var r readings
	api := b.api()
	defer api.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { r.unit, err = b.unit(ctx); return err })
	g.Go(func() (err error) { r.current, err = b.current(ctx); return err })
	var config, peerID, peers, restarted, changing text
	var drain text
	for _, f := range []struct {
		into  *text
		path  string
		limit int64
	}{
		{&config, ConfigFile, configLimit}, {&peerID, b.own(PeerIDFile), smallLimit}, {&peers, b.own(PeersFile), peersLimit},
		{&drain, b.own(DrainMark), smallLimit}, {&restarted, Restarted, smallLimit}, {&changing, Changing, smallLimit},
	} {
		g.Go(func() (err error) { *f.into, err = b.text(ctx, f.path, f.limit); return err })
	}
	for path, into := range map[string]*answer{
		pathReady: &r.ready, pathVersion: &r.version, pathReservations: &r.reservations,
	} {
		g.Go(func() error { *into = api.get(ctx, path); return nil })
	}
	if b.cfg.System != nil {
		g.Go(func() (err error) { r.system, err = b.readSystem(ctx); return err })
	}
	if err := g.Wait(); err != nil {
		return readings{}, err
	}
	for _, p := range b.cfg.System.service(b.m) {
		has := r.system.files[p.Files[0].Path]
		r.unitText, r.hasUnit = has.body, has.there
	}
	for _, t := range []text{config, peerID, peers, restarted} {
		if t.warning != "" {
			r.warnings = append(r.warnings, t.warning)
		}
	}
	r.config, r.hasConfig = config.body, config.there
	r.draining = drain.there
	r.mark = parseMark([]byte(changing.body))
	r.setPeerID(peerID.body)
	r.peers = parsePeers(peers.body)
	r.setRestarted(restarted.body)
	return r, nil
}

// noManager adds to a failure that a box without this service manager gives what the
// operator can do about it.
func noManager(err error) error {
	var exit *exitError
	if !errors.As(err, &exit) || !exit.absent && !strings.Contains(exit.said, "not been booted with systemd") {
		return err
	}
	return fleet.WithHint(fmt.Errorf("no systemd on the box: %w", err),
		"Set service: process for this host, or launchd on macOS.")
}

// text is a small file of a box.
type text struct {
	body    string
	there   bool
	warning string // why there is no body although there is a file
}

// text reads a small file. One beyond its bound is there, empty, with a warning.
func (b box) text(ctx context.Context, path string, limit int64) (text, error) {
	data, there, err := b.file(ctx, path, limit)
	if errors.Is(err, sshx.ErrTooLarge) {
		return text{there: true, warning: fmt.Sprintf("%s is larger than %d bytes and was not read", path, limit)}, nil
	}
	if errors.Is(err, sshx.ErrNotRegular) {
		return text{there: true, warning: path + " is not a regular file and was not read"}, nil
	}
	if err != nil {
		return text{}, err
	}
	return text{body: string(data), there: there}, nil
}

func (b box) unit(ctx context.Context) (unit, error) {
	out, err := b.exec(ctx, managerOf(b.m).show())
	var exit *exitError
	if errors.As(err, &exit) && managerOf(b.m).none(exit) {
		return unit{Name: "the relay", Active: "inactive"}, nil
	}
	if err != nil {
		return unit{}, noManager(err)
	}
	return managerOf(b.m).parse(out)
}

// current is the SHA-256 of the release that the service starts, "" if there is none.
func (b box) current(ctx context.Context) (string, error) {
	out, err := b.exec(ctx, readCurrent())
	var exit *exitError
	if errors.As(err, &exit) && exit.code == 1 {
		return "", nil // no such link
	}
	if err != nil {
		return "", err
	}
	return parseLink(out), nil
}

// checkPeerID returns the canonical text of a peer ID.
func checkPeerID(id string) (string, error) {
	c, err := multiaddr.NewComponent("p2p", id)
	if err != nil {
		return "", fmt.Errorf("%q is no peer ID", clean(id, 80))
	}
	return c.Value(), nil
}

func (r *readings) setPeerID(body string) {
	body = strings.TrimSpace(body)
	if body == "" {
		return
	}
	id, err := checkPeerID(body)
	if err != nil {
		r.warnings = append(r.warnings, PeerIDFile+": "+err.Error())
		return
	}
	r.peerID = id
}

func (r *readings) setRestarted(body string) {
	body = strings.TrimSpace(body)
	if body == "" {
		return
	}
	t, err := time.Parse(time.RFC3339, body)
	if err != nil {
		r.warnings = append(r.warnings, fmt.Sprintf("%s: %q is no time", Restarted, clean(body, 60)))
		return
	}
	r.restarted = t
}

// parsePeers reads [PeersFile]: sorted, without doubles, empty lines and comments.
func parsePeers(body string) []string {
	peers := []string{}
	for line := range strings.SplitSeq(body, "\n") {
		if line = clean(line, 512); line != "" && !strings.HasPrefix(line, "#") {
			peers = append(peers, line)
		}
	}
	slices.Sort(peers)
	return slices.Compact(peers)
}

// heldBody is the part of the answer to /api/reservations that fleetctl reads. A
// number that is not there is no zero.
type heldBody struct {
	Active *int `json:"active"`
}

// readiness reads the answer to /readyz: whether the relay serves, and why not.
func readiness(a answer) (body stats.Ready, ok bool, reason string) {
	if a.status == http.StatusServiceUnavailable {
		a.status = http.StatusOK // "no" is an answer, too
		if err := a.decode(pathReady, &body); err != nil {
			return body, false, err.Error()
		}
		body.Ready = false
	} else if err := a.decode(pathReady, &body); err != nil {
		return body, false, err.Error()
	}
	reason = clean(body.Reason, 400)
	if !body.Ready && reason == "" {
		reason = "it does not say why"
	}
	return body, body.Ready, reason
}
