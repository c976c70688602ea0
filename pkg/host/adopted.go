package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// publicKeyFile holds the relay's public key: 32 bytes, raw.
const publicKeyFile = StateDir + "/node.pub"

// adopted reads a box on which others run a relay: what answers at the API's port, and
// what its state directory says of who it is. It asks for nothing that is ours alone,
// and changes nothing.
func (b box) adopted(ctx context.Context) (fleet.Relay, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ReadTimeout)
	defer cancel()
	api := b.api()
	defer api.close()
	var report, ready, version, held answer
	var peerID, public text
	g, ctx := errgroup.WithContext(ctx)
	for path, into := range map[string]*answer{pathStats: &report, pathReady: &ready, pathVersion: &version, pathReservations: &held} {
		g.Go(func() error { *into = api.get(ctx, path); return nil })
	}
	g.Go(func() (err error) { peerID, err = b.text(ctx, b.own(PeerIDFile), smallLimit); return err })
	g.Go(func() (err error) { public, err = b.text(ctx, b.own(publicKeyFile), smallLimit); return err })
	if err := g.Wait(); err != nil {
		return fleet.Relay{}, err
	}
	return judgeAdopted(stateOf(b.m), report, ready, version, held, peerID, public), nil
}

// judgeAdopted makes of the answers what is known of somebody else's relay. Its own
// words are not asked for in a form that only ours have: it is ready when it answers.
func judgeAdopted(dir string, report, ready, version, held answer, peerID, public text) fleet.Relay {
	out := fleet.Relay{Peers: []string{}, Warnings: []string{}, Drift: []fleet.Drift{}, Reservations: -1}
	warn := func(format string, args ...any) { out.Warnings = append(out.Warnings, fmt.Sprintf(format, args...)) }
	known, err := writtenPeerID(peerID, public)
	if err != nil {
		warn("%s: %v", dir, err)
	}
	out.PeerID = known
	out.Active = report.err == nil
	out.Installed = out.Active || peerID.there || public.there
	if !out.Active {
		out.Reason = "nothing answers: " + report.err.Error()
		out.Reservations = 0
		return out
	}
	var body struct {
		PeerID string `json:"peer_id"`
	}
	if err := report.decode(pathStats, &body); err != nil {
		out.Reason = err.Error()
		return out
	}
	out.PeerID = readings{}.agreed(known, body.PeerID, warn)
	out.Ready = true
	if ready.err == nil && (ready.status == http.StatusOK || ready.status == http.StatusServiceUnavailable) {
		if _, ok, reason := readiness(ready); !ok {
			out.Ready, out.Reason = false, reason
		}
	}
	var v stats.Version
	if version.decode(pathVersion, &v) == nil {
		out.Version = clean(v.Version, 80)
		if hex64.MatchString(v.SHA256) {
			out.SHA256 = v.SHA256
		}
	}
	var n heldBody
	if held.decode(pathReservations, &n) == nil && n.Active != nil && *n.Active >= 0 {
		out.Reservations = *n.Active
	}
	return out
}

// writtenPeerID is the peer ID that a state directory names, or that its public key is
// of; "" if it has neither.
func writtenPeerID(peerID, public text) (string, error) {
	if id := strings.TrimSpace(peerID.body); id != "" {
		return checkPeerID(id)
	}
	if !public.there {
		return "", nil
	}
	return peerIDOf([]byte(public.body))
}

// peerIDOf is the peer ID of a raw Ed25519 public key: the key itself, as libp2p writes
// it, in an identity multihash.
func peerIDOf(public []byte) (string, error) {
	if len(public) != 32 {
		return "", fmt.Errorf("node.pub has %d bytes, a raw Ed25519 key has 32", len(public))
	}
	head := []byte{
		0xa5, 0x03, 38, // /p2p/, 38 bytes
		0x00, 36, // identity, 36 bytes
		0x08, 0x01, 0x12, 32, // protobuf: type Ed25519, key of 32 bytes
	}
	a, err := multiaddr.NewMultiaddrBytes(slices.Concat(head, public))
	if err != nil {
		return "", fmt.Errorf("node.pub: %w", err)
	}
	return a.ValueForProtocol(multiaddr.P_P2P)
}

// othersLogs copies the journal of the service that answers at the API's port of an
// adopted box, whatever its name.
func (b box) othersLogs(ctx context.Context, n int, follow bool, stdout io.Writer) error {
	_, name, err := b.listener(ctx)
	if err != nil {
		return err
	}
	if name == "" {
		return fleet.WithHint(errors.New("read the journal: no service of systemd's answers at "+API),
			"Ask whoever made the box where its relay logs.")
	}
	return b.logs(ctx, journalOf(name, n, follow), follow, stdout)
}

// listener is the process that owns the API's port, and its service; "" is none.
func (b box) listener(ctx context.Context) (pid, name string, err error) {
	out, err := b.exec(ctx, listeners())
	if err != nil {
		return "", "", err
	}
	pid = listenerPID(out)
	if pid == "" {
		return "", "", nil
	}
	cgroup, err := b.text(ctx, "/proc/"+pid+"/cgroup", smallLimit)
	return pid, serviceInCgroup(cgroup.body), err
}
