package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// baseDomain is the name under which the old scripts were given dns.domain.
const baseDomain = "BASE_DOMAIN"

// specPath is the absolute path of the spec.
func (a *app) specPath() string { return a.abs(a.globals.config) }

// loadSpec reads and checks the spec that --config names.
func (a *app) loadSpec() (fleet.Spec, error) {
	text, err := a.readSpec()
	if err != nil {
		return fleet.Spec{}, err
	}
	s, err := fleet.Load(text, a.globals.config)
	if err != nil {
		return fleet.Spec{}, err
	}
	domain := strings.TrimSuffix(a.getenv(baseDomain), ".")
	if domain != "" && !strings.EqualFold(domain, s.DNS.Domain) {
		err := fmt.Errorf("%s is %s, but dns.domain in %s is %s", baseDomain, render.Safe(domain), a.globals.config, s.DNS.Domain)
		return fleet.Spec{}, fleet.WithHint(err, "unset "+baseDomain+", or name the other fleet's file with --config")
	}
	return s, nil
}

// readSpec reads no more than a spec may be long, and a little.
func (a *app) readSpec() ([]byte, error) {
	f, err := os.Open(a.specPath())
	if errors.Is(err, fs.ErrNotExist) {
		err := fmt.Errorf("read the spec: %s: no such file", a.globals.config)
		return nil, fleet.WithHint(err, "run 'fleetctl init' to write one, or name it with --config")
	}
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, fleet.MaxSpecSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	return text, nil
}
