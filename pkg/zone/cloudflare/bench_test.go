package cloudflare_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

// BenchmarkSync brings a zone behind a server on loopback to what is wanted, in three
// ways: with this package; with one request for each record that differs, as the simplest
// client does; and as a script does that deletes what is there and creates what is wanted.
// calls/op is what counts: an API that is 100 ms away takes a tenth of a second for each.
func BenchmarkSync(b *testing.B) {
	for _, relays := range []int{3, 1000} {
		want := thousand(b)[:relays]
		if relays == 1000 {
			want = thousand(b)
		}
		moved := append([]dnsaddr.Record{}, want...)
		moved[0].Value = strings.Replace(moved[0].Value, "/tcp/9100", "/tcp/9101", 1)
		for _, from := range []struct {
			name string
			have []dnsaddr.Record
		}{{"nothing", nil}, {"in sync", want}, {"one moved", moved}} {
			for _, way := range []struct {
				name string
				run  func(context.Context, *bench, []dnsaddr.Record) error
			}{{"fleetctl", withZone}, {"one by one", oneByOne}, {"delete and create", deleteAndCreate}} {
				b.Run(fmt.Sprintf("relays=%d/from=%s/by=%s", relays, from.name, way.name), func(b *testing.B) {
					calls := 0
					for range b.N {
						b.StopTimer()
						s := newBench(b, from.have)
						b.StartTimer()
						if err := way.run(b.Context(), s, want); err != nil {
							b.Fatal(err)
						}
						b.StopTimer()
						calls += len(s.Requests())
						if got := len(s.Records(apex)); got != len(want) {
							b.Fatalf("got %d records, want %d", got, len(want))
						}
					}
					b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
				})
			}
		}
	}
}

// bench is a cloud behind a server.
type bench struct {
	*rig
	url string // of the zone's records
}

func newBench(b *testing.B, have []dnsaddr.Record) *bench {
	r := newRig(b, cftest.Config{Limits: cftest.NoLimits()})
	for _, rec := range have {
		if _, err := r.Put(apex, cftest.Record{Name: rec.Name, Content: dnsaddr.EncodeTXT(rec.Value), TTL: rec.TTL, Comment: rec.Comment}); err != nil {
			b.Fatal(err)
		}
	}
	server := httptest.NewServer(r.Handler())
	b.Cleanup(server.Close)
	return &bench{rig: r, url: server.URL + cftest.BasePath + "/zones/" + r.ZoneID(apex) + "/dns_records"}
}

func withZone(ctx context.Context, s *bench, want []dnsaddr.Record) error {
	base, _, _ := strings.Cut(s.url, "/zones/")
	z := s.zone(func(c *cloudflare.Config) { c.BaseURL, c.Transport = base, nil })
	return converge(ctx, z, want)
}

// oneByOne lists and then creates or deletes one record after the other.
func oneByOne(ctx context.Context, s *bench, want []dnsaddr.Record) error {
	have, err := s.list(ctx)
	if err != nil {
		return err
	}
	c := dnsaddr.Diff("seabird", have, want)
	for _, r := range c.Add {
		if err := s.create(ctx, r); err != nil {
			return err
		}
	}
	for _, r := range c.Remove {
		if err := s.request(ctx, http.MethodDelete, "/"+r.ID, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// deleteAndCreate deletes every record and creates the wanted ones, whatever is there.
func deleteAndCreate(ctx context.Context, s *bench, want []dnsaddr.Record) error {
	have, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, r := range have {
		if err := s.request(ctx, http.MethodDelete, "/"+r.ID, nil, nil); err != nil {
			return err
		}
	}
	for _, r := range want {
		if err := s.create(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

type wire struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
	Comment string `json:"comment"`
}

// list reads one page that is large enough.
func (s *bench) list(ctx context.Context) ([]dnsaddr.Record, error) {
	var found struct {
		Result []wire `json:"result"`
	}
	if err := s.request(ctx, http.MethodGet, "?type=TXT&per_page=5000", nil, &found); err != nil {
		return nil, err
	}
	var out []dnsaddr.Record
	for _, w := range found.Result {
		value, err := dnsaddr.DecodeTXT(w.Content)
		if err != nil {
			return nil, err
		}
		out = append(out, dnsaddr.Record{ID: w.ID, Name: w.Name, Value: value, TTL: time.Duration(w.TTL) * time.Second, Comment: w.Comment})
	}
	return out, nil
}

func (s *bench) create(ctx context.Context, r dnsaddr.Record) error {
	w := wire{Type: "TXT", Name: r.Name, Content: dnsaddr.EncodeTXT(r.Value), TTL: int(r.TTL.Seconds()), Comment: r.Comment}
	return s.request(ctx, http.MethodPost, "", w, nil)
}

func (s *bench) request(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+cftest.DefaultToken)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r) //nolint:forbidigo // the simplest client
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}
