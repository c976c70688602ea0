package host_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/stats"
)

// counted routes both statistics of a box that counts nothing wrong.
func counted(t *testing.T, box *hosttest.FakeBox) {
	t.Helper()
	box.Route("/api/stats", saysJSON(t, stats.Report{PeerID: box.PeerID(), ConnectedPeers: 3, NATStatus: "public"}))
	box.Route("/api/bootstrap/census", saysJSON(t, stats.Census{Enabled: true, LifetimeUniquePeers: 1, GeneratedAt: time.Now().Unix()}))
}

func saysJSON(t *testing.T, v any) http.HandlerFunc {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return says(200, string(data))
}

func TestReport_ReadsReportCensusAndRegister(t *testing.T) {
	fake, box, m, h := serving(t)
	m.Region = "nyc1"
	counted(t, box)
	put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
	got := h.Report(t.Context(), m)
	if got.Err != nil || len(got.Warnings) != 0 {
		t.Fatalf("Report: %v, warnings %q; want neither", got.Err, got.Warnings)
	}
	if got.Node != m.Node || got.Region != "nyc1" || got.PeerID != box.PeerID() {
		t.Errorf("Report is of %s in %s, %s; want %s in nyc1, %s", got.Node, got.Region, got.PeerID, m.Node, box.PeerID())
	}
	if got.Answered.IsZero() {
		t.Error("Report does not say when it was answered")
	}
	if got.Report == nil || got.Report.ConnectedPeers != 3 || got.Census == nil || len(got.Registry) != 1 {
		t.Errorf("Report = %+v, want all three parts", got)
	}
}

func TestReport_WhatCannotBeReadIsMissingAndNamed(t *testing.T) {
	for _, c := range []struct {
		name                     string
		spoil                    func(*testing.T, *hosttest.Fake, *hosttest.FakeBox)
		report, census, register bool
		err, warning             string
		broken                   bool
	}{
		{
			name: "a register that is not there where nobody was met",
			spoil: func(t *testing.T, f *hosttest.Fake, b *hosttest.FakeBox) {
				lose(t, f)
				b.Route("/api/bootstrap/census", saysJSON(t, stats.Census{Enabled: true, GeneratedAt: time.Now().Unix()}))
			},
			report: true, census: true, register: true,
		}, {
			name:   "a register that is lost",
			spoil:  func(t *testing.T, f *hosttest.Fake, _ *hosttest.FakeBox) { lose(t, f) },
			report: true, census: true, err: "there is none, and the daemon knows 1 peers",
		}, {
			name: "a register that is not there, of a dead daemon",
			spoil: func(t *testing.T, f *hosttest.Fake, b *hosttest.FakeBox) {
				lose(t, f)
				b.Kill()
			},
			err: "refused", warning: "does not say whom it met",
		}, {
			name:     "a dead daemon",
			spoil:    func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox) { b.Kill() },
			register: true, err: "refused", warning: "/api/bootstrap/census",
		}, {
			name: "an unreachable box",
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox) {
				b.Unreachable(errors.New("no route to host"))
			},
			report: false, err: "no route",
		}, {
			name: "a damaged register",
			spoil: func(t *testing.T, f *hosttest.Fake, _ *hosttest.FakeBox) {
				put(t, f, machine(22), host.CensusFile, `{"half":`)
			},
			report: true, census: true, err: host.CensusFile, broken: true,
		}, {
			name: "one damaged entry",
			spoil: func(t *testing.T, f *hosttest.Fake, _ *hosttest.FakeBox) {
				put(t, f, machine(22), host.CensusFile, `[{"peer_pubkey":"?"},`+census("AAE=", 1, 1, 2)[1:])
			},
			report: true, census: true, register: true, warning: "1 of 2 entries",
		}, {
			name: "statistics without end",
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox) {
				b.Route("/api/stats", endless)
			},
			census: true, register: true, err: "larger than allowed",
		}, {
			name: "statistics without end and a damaged register",
			spoil: func(t *testing.T, f *hosttest.Fake, b *hosttest.FakeBox) {
				b.Route("/api/bootstrap/census", endless)
				put(t, f, machine(22), host.CensusFile, `{"half":`)
			},
			report: true, err: "larger than allowed", warning: host.CensusFile, broken: true,
		}, {
			name: "a negative counter",
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox) {
				b.Route("/api/stats", says(200, `{"peer_id":"`+b.PeerID()+`","connected_peers":-1}`))
			},
			census: true, register: true, err: "report:",
		}, {
			name: "too many requests",
			spoil: func(_ *testing.T, _ *hosttest.Fake, b *hosttest.FakeBox) {
				b.Route("/api/bootstrap/census", says(429, `{"error":"slow down"}`))
			},
			report: true, register: true, err: "status 429",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake, box, m, h := serving(t)
			counted(t, box)
			put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
			c.spoil(t, fake, box)
			got := h.Report(t.Context(), m)
			if (got.Report != nil) != c.report || (got.Census != nil) != c.census || (got.Registry != nil) != c.register {
				t.Errorf("Report has report %t, census %t, register %t; want %t, %t, %t",
					got.Report != nil, got.Census != nil, got.Registry != nil, c.report, c.census, c.register)
			}
			if c.err == "" && got.Err != nil || c.err != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), c.err)) {
				t.Errorf("Err = %v, want %q", got.Err, c.err)
			}
			if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, c.warning) {
				t.Errorf("Warnings = %q, want %q", said, c.warning)
			}
			if (got.Broken != nil) != c.broken {
				t.Errorf("Broken = %v, want one: %t", got.Broken, c.broken)
			}
		})
	}
}

// lose removes the register.
func lose(t *testing.T, f *hosttest.Fake) {
	t.Helper()
	if err := f.Remove(t.Context(), target(t, machine(22)), host.CensusFile); err != nil {
		t.Fatal(err)
	}
}

// contract.md section 7, row 10.
func TestContract10_OneHungRelayDoesNotHangTheStatistics(t *testing.T) {
	fake, _, m, _ := serving(t)
	put(t, fake, m, host.CensusFile, census("AAE=", 3, 1, 2))
	synctest.Test(t, func(t *testing.T) {
		h := host.New(host.Config{Runner: fake, Tunnel: stuck{fake}})
		began := time.Now()
		got := h.Report(t.Context(), m)
		if got.Err == nil || got.Registry == nil || time.Since(began) > 15*time.Second {
			t.Errorf("Report = %+v after %s, want the register and an error at the API's deadline of 10 s", got, time.Since(began))
		}
	})
}
