package digitalocean_test

import (
	"context"
	"debug/elf"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest/memorytest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

const (
	token       = dotest.DefaultToken
	otherToken  = "another-team"
	operatorKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK"
)

// world is a simulated cloud with Debian boxes in memory behind its droplets, a zone, and
// a killer between fleetctl and all of them. Everything runs in one bubble of time.
type world struct {
	spec  fleet.Spec
	cloud *dotest.Cloud
	boxes *memorytest.Droplets
	zone  *zonetest.Memory
	kill  *killer
	token string
	rel   fleet.Release
	watch func(what string) // called after every effect, one at a time

	met []string // peers that some relay has counted
}

func newWorld(t *testing.T) *world { return newLimitedWorld(t, dotest.NoLimits()) }

// newLimitedWorld is one with limits on the rate of requests.
func newLimitedWorld(t *testing.T, limits dotest.Limits) *world {
	t.Helper()
	var nodes []fleet.NodeSpec
	for _, r := range []string{"nyc1", "fra1", "sgp1"} {
		nodes = append(nodes, fleet.NodeSpec{Region: r, Count: 1})
	}
	s := fleet.Defaults("bitterbot", fleet.ProviderDigitalOcean, "local", nodes)
	s.ID, s.DNS.Domain = "01kb4q6s3h", "p2p.bitterbot.test"
	s.Ocean.Tags = []string{"relay"}
	w := &world{spec: s, boxes: memorytest.New(), zone: zonetest.NewMemory(), token: token}
	w.kill = &killer{w: w, left: -1}
	w.cloud = dotest.New(dotest.Config{
		Accounts: []dotest.Account{{Token: token}, {Token: otherToken}}, Limits: limits, Boxes: w.boxes,
		Boot: dotest.Lag{Reads: 1}, Tag: dotest.Lag{Reads: 1}, Delete: dotest.Lag{Reads: 1},
	})
	rel, err := host.FindRelease(hosttest.Program(t, elf.EM_X86_64), "")
	if err != nil {
		t.Fatal(err)
	}
	w.rel = rel
	t.Cleanup(func() {
		if err := w.cloud.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
		if found := w.cloud.Violations(); len(found) > 0 {
			t.Errorf("violations of the published API: %q", found)
		}
	})
	return w
}

// backends are what one process of fleetctl works with.
func (w *world) backends() fleet.Backends { return w.backendsOf(operatorKey) }

// backendsOf are those of a process whose state directory holds this key.
func (w *world) backendsOf(key string) fleet.Backends {
	keys := []string{key}
	hosts := host.New(host.Config{
		Runner: &killable{Runner: &pinned{w.boxes.Fake, w}, k: w.kill}, Tunnel: &killableTunnel{w.boxes.Fake, w.kill}, Keys: w.boxes.Fake,
		System: host.SystemOf(w.spec, keys), Actor: "test", Command: "test", HealthyDeadline: time.Minute,
	})
	p, err := digitalocean.New(digitalocean.Config{
		Spec: w.spec, BaseURL: "http://127.0.0.1:1", Keys: keys, Transport: &wire{w.cloud.Handler(), w.kill},
		Token: func(context.Context) (string, string, error) { return w.token, "the test", nil },
		Bootstrap: func([]string) (string, string, error) {
			_, public, err := sshx.NewHostKey()
			return "#cloud-config\n", public, err
		},
	})
	if err != nil {
		panic(err)
	}
	return fleet.Backends{Provider: p, Hosts: hosts, Zone: &killableZone{w.zone, w.kill}, Prober: w.boxes, Key: key}
}

// converge is one command, in a process of its own.
func (w *world) converge(ctx context.Context, in fleet.Intent) (fleet.Outcome, error) {
	return w.convergeBy(ctx, w.backends(), in)
}

func (w *world) convergeBy(ctx context.Context, b fleet.Backends, in fleet.Intent) (fleet.Outcome, error) {
	in.Release = w.rel
	st, err := fleet.Observe(ctx, b, w.spec)
	if err != nil {
		return fleet.Outcome{}, err
	}
	return fleet.Converge(ctx, b, w.spec, in, st, fleet.Diff(w.spec, st, in), nil)
}

func must(t *testing.T, what string, w *world, in fleet.Intent) {
	t.Helper()
	o, err := w.converge(t.Context(), in)
	if err != nil || !o.Settled() {
		t.Fatalf("%s: %v, deferred %+v, kept %+v, failures %v", what, err, o.Plan.Deferred, o.Plan.Kept, o.Failures)
	}
}

// machineOf is the ID of a node's droplet.
func (w *world) machineOf(node string) string {
	for _, d := range w.cloud.Droplets(token) {
		if tagged(d.Tags, "slot:") == node {
			return fmt.Sprint(d.ID)
		}
	}
	return ""
}

// ours lists the values of our records.
func (w *world) ours(t *testing.T) []string {
	t.Helper()
	records, err := w.zone.Records(t.Context(), w.spec.DNS.RecordName())
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, r := range records {
		if o, ok := r.Owner(); ok && o.Fleet == w.spec.Name {
			out = append(out, r.Value)
		}
	}
	return out
}

// serves reports whether a client finds a relay at a record's address.
func (w *world) serves(value string) bool {
	a, err := dnsaddr.ParseValue(value)
	if err != nil {
		return false
	}
	p, err := w.boxes.Probe(context.Background(), a)
	return err == nil && p.Verdict.Verified()
}

// belowFloor is 1 if fewer published relays serve than the floor allows.
func (w *world) belowFloor(t *testing.T, what string) int {
	serving := 0
	for _, r := range w.ours(t) {
		if w.serves(r) {
			serving++
		}
	}
	if serving >= w.spec.DNS.MinRelays {
		return 0
	}
	t.Errorf("after %s: %d published relays serve, the floor is %d", what, serving, w.spec.DNS.MinRelays)
	return 1
}

// meet lets every relay count somebody.
func (w *world) meet() {
	for i, d := range w.cloud.Droplets(token) {
		peer := base64.StdEncoding.EncodeToString(slices.Repeat([]byte{byte(i + 1)}, 32))
		w.met = append(w.met, peer)
		entry := []map[string]any{{
			"peer_pubkey": peer, "last_peer_id": "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5", "first_seen_at": 1, "last_seen_at": 2,
			"tier": "edge", "address_type": "ipv4_public", "connection_count": 1,
		}}
		text, err := json.Marshal(entry)
		if err != nil {
			panic(err)
		}
		w.boxes.Box(d.ID).PutFile(host.CensusFile, text)
	}
}

// merge is what daemons do with the imports that they find.
func (w *world) merge() {
	for _, d := range w.cloud.Droplets(token) {
		b := w.boxes.Box(d.ID)
		var all []json.RawMessage
		for _, file := range []string{host.CensusFile, host.ImportFile} {
			var some []json.RawMessage
			if text, there := b.File(file); there && json.Unmarshal([]byte(text), &some) == nil {
				all = append(all, some...)
			}
		}
		text, err := json.Marshal(all)
		if err != nil {
			panic(err)
		}
		if len(all) > 0 {
			b.PutFile(host.CensusFile, text)
		}
	}
}

// lost lists whom no living box knows any more.
func (w *world) lost() []string {
	known := ""
	for _, d := range w.cloud.Droplets(token) {
		for _, file := range []string{host.CensusFile, host.ImportFile} {
			text, _ := w.boxes.Box(d.ID).File(file)
			known += text
		}
	}
	var out []string
	for _, peer := range w.met {
		if !strings.Contains(known, peer) {
			out = append(out, peer)
		}
	}
	return out
}

// errKilled is what a process would see that is dead.
var errKilled = errors.New("the process was killed")

// killer ends a process of fleetctl at one effect of its: from then on nothing of it
// reaches the world.
type killer struct {
	w     *world
	mu    sync.Mutex
	left  int // effects that are still made; negative: all
	after bool
	gone  bool
	what  string
}

func (k *killer) arm(n int, after bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.after, k.gone = n, after, false
}

func (k *killer) dead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone
}

// effect makes one effect, unless the process is dead or dies of it.
func (k *killer) effect(what string, do func() error) error {
	k.mu.Lock()
	switch {
	case k.gone:
		k.mu.Unlock()
		return errKilled
	case k.left == 0:
		k.gone, k.what = true, what
		after := k.after
		k.mu.Unlock()
		if after {
			_ = do() // its answer is never read
		}
		return errKilled
	case k.left > 0:
		k.left--
	}
	k.mu.Unlock()
	err := do()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.w.watch != nil {
		k.w.watch(what)
	}
	return err
}

func (k *killer) read(do func() error) error {
	if k.dead() {
		return errKilled
	}
	return do()
}

// wire carries requests to the cloud without a network.
type wire struct {
	cloud http.Handler
	k     *killer
}

func (w *wire) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	send := func() error {
		rec := httptest.NewRecorder()
		w.cloud.ServeHTTP(rec, r)
		resp = rec.Result()
		resp.Request = r
		return nil
	}
	if r.Method == http.MethodGet {
		err = w.k.read(send)
	} else {
		err = w.k.effect(r.Method+" "+r.URL.Path, send)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// pinned is SSH that trusts what the droplets' marks say and nothing else: a box that
// shows another host key than its marks cannot be spoken to.
type pinned struct {
	*hosttest.Fake
	w *world
}

func (p *pinned) check(ctx context.Context, at sshx.Target) error {
	shown, err := p.HostKey(ctx, at)
	if err != nil {
		return err
	}
	mark, err := sshx.EncodeHostKeyMark(shown)
	if err != nil {
		return err
	}
	for _, d := range p.w.cloud.Droplets(token) {
		if len(d.Addrs) > 0 && netip.AddrPortFrom(d.Addrs[0], 22).String() == at.Addr && slices.Contains(d.Tags, "hostkey:"+mark) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: it shows %s", at.Name, sshx.ErrHostKeyMismatch, shown)
}

func (p *pinned) Run(ctx context.Context, at sshx.Target, c sshx.Command) (sshx.Result, error) {
	if err := p.check(ctx, at); err != nil {
		return sshx.Result{}, err
	}
	return p.Fake.Run(ctx, at, c)
}

func (p *pinned) ReadFile(ctx context.Context, at sshx.Target, path string, limit int64) ([]byte, error) {
	if err := p.check(ctx, at); err != nil {
		return nil, err
	}
	return p.Fake.ReadFile(ctx, at, path, limit)
}

// killable is a Runner of a process that can be killed.
type killable struct {
	sshx.Runner
	k *killer
}

func (r *killable) Run(ctx context.Context, at sshx.Target, c sshx.Command) (res sshx.Result, err error) {
	do := func() (err error) { res, err = r.Runner.Run(ctx, at, c); return err }
	if c.ReadOnly {
		return res, r.k.read(do)
	}
	err = r.k.effect(at.Name+": "+strings.Join(c.Argv, " "), do)
	return res, err
}

func (r *killable) ReadFile(ctx context.Context, at sshx.Target, path string, limit int64) (data []byte, err error) {
	err = r.k.read(func() (err error) { data, err = r.Runner.ReadFile(ctx, at, path, limit); return err })
	return data, err
}

func (r *killable) WriteFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	return r.k.effect(at.Name+": write "+path, func() error { return r.Runner.WriteFile(ctx, at, path, data, mode) })
}

func (r *killable) AppendFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	return r.k.effect(at.Name+": append to "+path, func() error { return r.Runner.AppendFile(ctx, at, path, data, mode) })
}

func (r *killable) Upload(ctx context.Context, at sshx.Target, local, path, sum string, mode fs.FileMode) error {
	return r.k.effect(at.Name+": upload "+path, func() error { return r.Runner.Upload(ctx, at, local, path, sum, mode) })
}

func (r *killable) Remove(ctx context.Context, at sshx.Target, path string) error {
	return r.k.effect(at.Name+": remove "+path, func() error { return r.Runner.Remove(ctx, at, path) })
}

type killableTunnel struct {
	sshx.Tunnel
	k *killer
}

func (t *killableTunnel) Dial(ctx context.Context, at sshx.Target, remote string) (conn net.Conn, err error) {
	err = t.k.read(func() (err error) { conn, err = t.Tunnel.Dial(ctx, at, remote); return err })
	return conn, err
}

type killableZone struct {
	dnsaddr.Zone
	k *killer
}

func (z *killableZone) Records(ctx context.Context, name string) (records []dnsaddr.Record, err error) {
	err = z.k.read(func() (err error) { records, err = z.Zone.Records(ctx, name); return err })
	return records, err
}

func (z *killableZone) Apply(ctx context.Context, name string, c dnsaddr.Changes) error {
	return z.k.effect("zone write", func() error { return z.Zone.Apply(ctx, name, c) })
}
