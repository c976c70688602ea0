package dotest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// shelf is boxes that write down what is done to them; a boot lasts until it is let go.
type shelf struct {
	mu    sync.Mutex
	did   []string
	fail  map[string]error // by what is done
	ready chan struct{}    // nil: boots return at once
	slow  chan struct{}    // nil: boots that are cancelled return at once
}

func (b *shelf) note(what string, id int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, fmt.Sprintf("%s %d", what, id))
	return b.fail[what]
}

func (b *shelf) done() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.did)
}

func (b *shelf) Boot(ctx context.Context, m dotest.Machine) ([]netip.Addr, error) {
	if err := b.note("boot", m.ID); err != nil {
		return nil, err
	}
	if b.ready != nil {
		select {
		case <-b.ready:
		case <-ctx.Done():
			if b.slow != nil {
				<-b.slow
			}
			return nil, ctx.Err()
		}
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, nil
}

func (b *shelf) PowerOff(_ context.Context, id int) error { return b.note("off", id) }
func (b *shelf) PowerOn(_ context.Context, id int) error  { return b.note("on", id) }
func (b *shelf) Destroy(_ context.Context, id int) error  { return b.note("destroy", id) }

// eventually reads a droplet until it looks as wanted; "gone" is 404.
func eventually(t *testing.T, g *godo.Client, id int, want string) *godo.Droplet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := ""
	for {
		d, _, err := g.Droplets.Get(ctx, id)
		switch {
		case status(err) == 404:
			got = "gone"
		case err != nil:
			t.Fatalf("droplet %d: last %q, want %q: %v", id, got, want, err)
		default:
			got = d.Status
		}
		if got == want {
			return d
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestBoxes_DropletIsActiveWhenItsBoxHasBooted(t *testing.T) {
	b := &shelf{ready: make(chan struct{})}
	s := serve(t, dotest.Config{Boxes: b, Limits: dotest.NoLimits()})
	g := s.client(t, dotest.DefaultToken)
	made := create(t, g, order("a"))
	if d, _, err := g.Droplets.Get(t.Context(), made.ID); err != nil || d.Status != "new" {
		t.Errorf("while it boots: got %s, %v; want new", d.Status, err)
	}
	close(b.ready)
	d := eventually(t, g, made.ID, "active")
	v4, _ := d.PublicIPv4()
	v6, _ := d.PublicIPv6()
	if v4 != "127.0.0.1" || v6 != "::1" {
		t.Errorf("got %s and %s, want the addresses of the box", v4, v6)
	}
	if _, _, err := g.DropletActions.PowerCycle(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Droplets.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, g, made.ID, "gone")
	want := []string{"boot", "off", "on", "destroy"}
	for i := range want {
		want[i] += fmt.Sprintf(" %d", made.ID)
	}
	if got := b.done(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q, one after the other", got, want)
	}
}

func TestBoxes_DropletWhoseBoxDoesNotBootIsGone(t *testing.T) {
	b := &shelf{fail: map[string]error{"boot": errors.New("no room")}}
	s := serve(t, dotest.Config{Boxes: b, Limits: dotest.NoLimits()})
	g := s.client(t, dotest.DefaultToken)
	_, resp, err := g.Droplets.Create(t.Context(), order("a"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, g, 400_000_001, "gone")
	if a, _, err := g.Actions.Get(t.Context(), resp.Links.Actions[0].ID); err != nil || a.Status != "errored" {
		t.Errorf("got %+v, %v; want an errored create", a, err)
	}
}

func TestBoxes_DeleteEndsABootUnderWayAndDestroysAfterIt(t *testing.T) {
	b := &shelf{ready: make(chan struct{}), slow: make(chan struct{})}
	s := serve(t, dotest.Config{Boxes: b, Limits: dotest.NoLimits()})
	g := s.client(t, dotest.DefaultToken)
	made := create(t, g, order("a"))
	if _, err := g.Droplets.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, _, err := g.Droplets.Get(t.Context(), made.ID); err != nil {
			t.Errorf("while the boot has not ended: %v", err)
		}
	}
	if got := b.done(); len(got) != 1 {
		t.Errorf("got %q while the boot has not ended, want nothing after it", got)
	}
	close(b.slow)
	eventually(t, g, made.ID, "gone")
}

func TestBoxes_DropletWhoseBoxCannotBeDestroyedLivesOn(t *testing.T) {
	b := &shelf{fail: map[string]error{"destroy": errors.New("busy")}}
	s := serve(t, dotest.Config{Boxes: b, Limits: dotest.NoLimits()})
	g := s.client(t, dotest.DefaultToken)
	made := create(t, g, order("a"))
	eventually(t, g, made.ID, "active")
	if _, err := g.Droplets.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for s.Droplets(dotest.DefaultToken)[0].Doomed {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the droplet is doomed for ever")
		}
	}
	eventually(t, g, made.ID, "active")
	b.mu.Lock()
	b.fail = nil // so that the cloud can be closed
	b.mu.Unlock()
}

func TestBoxes_CloseDestroysThemAll(t *testing.T) {
	b := &shelf{ready: make(chan struct{})}
	s := serve(t, dotest.Config{Boxes: b})
	g := s.client(t, dotest.DefaultToken)
	for _, name := range []string{"a", "b"} {
		create(t, g, order(name))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := b.done()
	slices.Sort(got)
	if want := []string{"boot 400000001", "boot 400000002", "destroy 400000001", "destroy 400000002"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// script writes a shell script that notes its arguments in log.
func script(t *testing.T, dir, does string) (path, log string) {
	t.Helper()
	path, log = filepath.Join(dir, "box"), filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$@\" >>" + log + "\n" + does + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, log
}

func TestExec_RunsTheCommandForEveryStep(t *testing.T) {
	dir := t.TempDir()
	path, log := script(t, dir, `if [ "$1" = boot ]; then cat "$4" "$5" >>`+dir+`/got; echo "$DOTEST_REGION" >>`+dir+`/got; echo 127.0.0.2 ::1; fi`)
	e := dotest.Exec{Argv: []string{path}, Dir: dir}
	ctx := t.Context()
	addrs, err := e.Boot(ctx, dotest.Machine{ID: 7, Name: "a", Region: "nyc1", UserData: "#cloud-config\n", PublicKeys: []string{"ssh-ed25519 AAAA"}})
	if err != nil || fmt.Sprint(addrs) != "[127.0.0.2 ::1]" {
		t.Fatalf("boot: got %v, %v; want 127.0.0.2 and ::1", addrs, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "7.user-data")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("user data: got %v, %v; want a private file", info, err)
	}
	if err := errors.Join(e.PowerOff(ctx, 7), e.PowerOn(ctx, 7), e.Destroy(ctx, 7)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "got"))
	if want := "#cloud-config\nssh-ed25519 AAAA\nnyc1\n"; err != nil || string(got) != want {
		t.Errorf("the command saw %q, %v; want %q", got, err, want)
	}
	ran, err := os.ReadFile(log)
	want := fmt.Sprintf("boot 7 a %[1]s/7.user-data %[1]s/7.keys\npoweroff 7\npoweron 7\ndestroy 7\n", dir)
	if err != nil || string(ran) != want {
		t.Errorf("got runs %q, %v; want %q", ran, err, want)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "7.*")); err != nil || len(left) > 0 {
		t.Errorf("got %q left, %v; want nothing", left, err)
	}
}

func TestExec_FailedBootSaysWhyAndIsDestroyed(t *testing.T) {
	for does, want := range map[string]string{
		`if [ "$1" = boot ]; then echo "no bridge" >&2; exit 3; fi`: "no bridge",
		`if [ "$1" = boot ]; then echo nonsense; fi`:                "nonsense",
		`:`: "no address",
	} {
		dir := t.TempDir()
		path, log := script(t, dir, does)
		_, err := dotest.Exec{Argv: []string{path}, Dir: dir}.Boot(t.Context(), dotest.Machine{ID: 7})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error that says %q", does, err, want)
		}
		if ran, err := os.ReadFile(log); err != nil || !strings.HasSuffix(string(ran), "destroy 7\n") {
			t.Errorf("%s: got runs %q, %v; want a destroy at the end", does, ran, err)
		}
	}
}
