package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/zone/local"
)

const zoneID = "01jd0000000000000000000000"

func TestZone_DamagedFileIsSetAsideAndNamed(t *testing.T) {
	for what, text := range map[string]string{
		"empty":            "",
		"binary":           "\x00\xff\x00",
		"half":             `{"version":1,"id":"` + zoneID + `","apex":"p2p.zo`,
		"another kind":     `[]`,
		"no version":       `{}`,
		"unknown key":      `{"version":1,"id":"` + zoneID + `","apex":"p2p.zone.test","serial":1,"records":[],"ttl":3}`,
		"other name":       `{"version":1,"id":"` + zoneID + `","apex":"p2p.zone.test","serial":1,"records":[{"id":"a","name":"example.net","value":"x","ttl_secs":2}]}`,
		"same ID twice":    `{"version":1,"id":"` + zoneID + `","apex":"p2p.zone.test","serial":1,"records":[{"id":"a","name":"p2p.zone.test","value":"x","ttl_secs":2},{"id":"a","name":"p2p.zone.test","value":"y","ttl_secs":2}]}`,
		"TTL out of range": `{"version":1,"id":"` + zoneID + `","apex":"p2p.zone.test","serial":1,"records":[{"id":"a","name":"p2p.zone.test","value":"x","ttl_secs":9223372036854775807}]}`,
	} {
		t.Run(what, func(t *testing.T) {
			z, dir, server := served(t)
			path := filepath.Join(dir, "zone.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := resolve.Values(t.Context(), server, name); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
				t.Errorf("the server answers from a damaged file: got error %v, want SERVFAIL", err)
			}
			_, err := z.Records(t.Context(), name)
			var damaged *local.DamagedError
			if !errors.As(err, &damaged) || damaged.Hint() == "" {
				t.Fatalf("got error %v, want a DamagedError with a hint", err)
			}
			kept, err := os.ReadFile(damaged.Aside)
			if err != nil || string(kept) != text {
				t.Errorf("%s holds %q, %v, want the damaged text", damaged.Aside, kept, err)
			}
			apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}}) // the next run heals
			if got := answers(t, server); len(got) != 1 {
				t.Errorf("got %q, want the record that was added afterwards", got)
			}
		})
	}
}

func TestZone_FileOfANewerVersionStaysWhereItIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "zone.json")
	const text = `{"version":2,"views":{}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	z := open(t, dir)
	if _, err := z.Records(t.Context(), name); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Records: got error %v, want one that says newer", err)
	}
	if err := z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}}); err == nil {
		t.Error("Apply: got no error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("the file is %q, %v, want it unchanged", got, err)
	}
}

func TestZone_RecordAddedByHandIsServedAndKept(t *testing.T) {
	z, dir, server := served(t)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	path := filepath.Join(dir, "zone.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	byHand := relay("198.51.100.7").Value
	doc["records"] = append(doc["records"].([]any), map[string]any{"name": name, "value": byHand, "ttl_secs": 60})
	if text, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, server); len(got) != 2 {
		t.Fatalf("got %q, want the record by hand as well", got)
	}
	have, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, z, dnsaddr.Diff("demo", have, nil))
	if got := answers(t, server); len(got) != 1 || got[0] != byHand {
		t.Errorf("got %q, want the record by hand alone", got)
	}
}

func TestZone_RemoveLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "zone")
	_, stop := serve(t, dir)
	z := open(t, dir)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	have, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, z, dnsaddr.Changes{Remove: have})
	if empty, err := z.Empty(t.Context()); err != nil || !empty {
		t.Fatalf("Empty: got %v, %v, want true", empty, err)
	}
	stop()
	for range 2 { // the second finds nothing, and succeeds
		if err := z.Remove(t.Context()); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestZone_OfAnotherDomainWithRecordsIsRefused(t *testing.T) {
	_, dir, _ := served(t)
	z := open(t, dir)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	other, err := local.New(dir, "p2p.other.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Records(t.Context(), "_dnsaddr.p2p.other.test"); !errors.Is(err, local.ErrOtherZone) {
		t.Errorf("got error %v, want ErrOtherZone", err)
	}
	have, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, z, dnsaddr.Changes{Remove: have})
	theirs := relay("192.0.2.1")
	theirs.Name = "_dnsaddr.p2p.other.test"
	if err := other.Apply(t.Context(), theirs.Name, dnsaddr.Changes{Add: []dnsaddr.Record{theirs}}); err != nil {
		t.Errorf("the zone is empty, and another domain still refused: %v", err)
	}
}

func TestZone_NameOutsideTheZoneIsRefused(t *testing.T) {
	z, _, _ := served(t)
	for _, n := range []string{"_dnsaddr.example.net", "", "a b." + apex, "../" + apex} {
		if _, err := z.Records(t.Context(), n); err == nil {
			t.Errorf("%q: Records got no error", n)
		}
		if err := z.Apply(t.Context(), n, dnsaddr.Changes{}); err == nil {
			t.Errorf("%q: Apply got no error", n)
		}
	}
}

func TestZone_StatusChangesNothingAndSaysWhyNotServing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "zone")
	z := open(t, dir)
	if s := z.Status(t.Context()); s.Serving || s.Reason == "" || s.Server != "" {
		t.Errorf("never started: got %+v", s)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("Status made %s: %v", dir, err)
	}
	server, stop := serve(t, dir)
	if s := z.Status(t.Context()); !s.Serving || s.Server != server || s.Kind != "local" {
		t.Errorf("served: got %+v", s)
	}
	stop()
	if s := z.Status(t.Context()); s.Serving || s.Reason == "" || s.Server != server {
		t.Errorf("stopped: got %+v", s)
	}
}

func TestZone_AnotherZonesServerOnThePortIsNotOurs(t *testing.T) {
	_, dir, server := served(t)
	mine := filepath.Join(t.TempDir(), "zone")
	_, stop := serve(t, mine)
	stop()
	port, err := os.ReadFile(filepath.Join(dir, "port"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mine, "port"), port, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := open(t, mine).Status(t.Context()); s.Serving || !strings.Contains(s.Reason, "another zone") {
		t.Errorf("%s: got %+v, want not serving: another zone", server, s)
	}
}

func TestZone_WaitingForTheLockEndsWithTheContext(t *testing.T) {
	z, dir, _ := served(t)
	release := local.HoldLock(t, dir)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := z.Apply(ctx, name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestZone_FilesAreForTheirOwnerOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // has no such modes
	}
	z, dir, _ := served(t)
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "zone.json"): 0o600, filepath.Join(dir, "port"): 0o600, filepath.Join(dir, "zone.lock"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", path, info, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"` + zoneID + `","apex":"p2p.zone.test","serial":1,"records":[{"id":"a","name":"p2p.zone.test","value":"x","ttl_secs":2}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := local.DecodeTwice(text); err != nil {
			t.Fatal(err)
		}
	})
}
