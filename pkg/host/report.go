package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// What the daemon is asked for a report.
const (
	pathStats  = "/api/stats"
	pathCensus = "/api/bootstrap/census"
)

// Report reads what the relay of m has counted: its report, its census and its
// register, all at once over the shared connection, each with a bound and a deadline of
// its own. What could not be read is missing in the reading, and Err is the first
// reason. It changes nothing.
func (h *Hosts) Report(ctx context.Context, m fleet.Machine) stats.Reading {
	out := stats.Reading{Node: m.Node, Region: m.Region}
	b, err := h.box(m)
	if err != nil {
		out.Err = err
		return out
	}
	api := b.api()
	defer api.close()
	var report, census answer
	var peerID text
	var peerErr, registryErr error
	var there bool
	var wg sync.WaitGroup
	wg.Go(func() { report = api.get(ctx, pathStats) })
	wg.Go(func() { census = api.get(ctx, pathCensus) })
	wg.Go(func() { peerID, peerErr = b.deadlineText(ctx, b.own(PeerIDFile)) })
	wg.Go(func() { out.Registry, there, registryErr = b.registry(ctx) })
	wg.Wait()

	now := time.Now()
	var reportErr, censusErr error
	out.Report, reportErr = parsed(report, pathStats, now, stats.ParseReport)
	if out.Report != nil {
		out.Answered = report.at
	}
	out.Census, censusErr = parsed(census, pathCensus, now, stats.ParseCensus)
	if !there && registryErr == nil {
		out.Registry, registryErr = b.noRegistry(out.Census)
	}
	if peerErr == nil && strings.TrimSpace(peerID.body) != "" {
		out.PeerID, peerErr = checkPeerID(strings.TrimSpace(peerID.body))
	}
	out.Broken = brokenCensus(registryErr)
	var damaged *stats.DamagedError
	if errors.As(registryErr, &damaged) {
		out.LeftOut = damaged.Damaged
		out.Warnings = append(out.Warnings, clean(registryErr.Error(), 500))
		registryErr = nil
	}
	if peerErr != nil {
		out.Warnings = append(out.Warnings, b.own(PeerIDFile)+": "+clean(peerErr.Error(), 300))
	}
	for _, err := range []error{reportErr, censusErr, registryErr} {
		switch {
		case err == nil:
		case out.Err == nil:
			out.Err = err
		case err.Error() != out.Err.Error():
			out.Warnings = append(out.Warnings, clean(err.Error(), 500))
		}
	}
	return out
}

// brokenCensus is err if it is of a census that is none, else nil.
func brokenCensus(err error) error {
	var broken *stats.BrokenError
	if !errors.As(err, &broken) {
		return nil
	}
	return err
}

// parsed reads an answer of status 200 by the parser of its kind.
func parsed[T any](a answer, path string, now time.Time, parse func([]byte, time.Time) (T, error)) (*T, error) {
	if a.err != nil {
		return nil, a.err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d: %s", path, a.status, clean(string(a.body), 200))
	}
	v, err := parse(a.body, now)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return &v, nil
}

func (b box) deadlineText(ctx context.Context, path string) (text, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.ReadTimeout)
	defer cancel()
	return b.text(ctx, path, smallLimit)
}

// registry reads the register, and reports whether there is one. Nil is one that was not
// read.
func (b box) registry(ctx context.Context) (entries []stats.CensusEntry, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	data, there, err := b.file(ctx, b.own(CensusFile), stats.MaxRegistry)
	if err != nil || !there {
		return nil, there, err
	}
	entries, err = stats.ParseRegistry(bytes.NewReader(data), time.Now())
	if err != nil {
		err = fmt.Errorf("%s: %w", b.own(CensusFile), err)
	}
	return entries, true, err
}

// noRegistry is what a box without a register knows: nobody, if its daemon says so. Else
// it is unknown: the file may be lost, or not written yet.
func (b box) noRegistry(census *stats.Census) ([]stats.CensusEntry, error) {
	switch {
	case census == nil:
		return nil, fmt.Errorf("%s: there is none, and the daemon does not say whom it met", b.own(CensusFile))
	case census.LifetimeUniquePeers > 0:
		return nil, fmt.Errorf("%s: there is none, and the daemon knows %d peers", b.own(CensusFile), census.LifetimeUniquePeers)
	}
	return []stats.CensusEntry{}, nil
}
