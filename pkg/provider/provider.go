// Package provider is the list of places where a fleet's machines can come from. A new
// one is a folder beside this file and a line in Open.
package provider

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean"
	"github.com/relayfleet/fleetctl/pkg/provider/hosts"
	"github.com/relayfleet/fleetctl/pkg/provider/local"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Config is what a provider may need to know.
type Config struct {
	Dir        string   // the fleet's state directory, absolute; it need not be there yet
	Supervise  []string // the command that supervises local boxes and a local zone in Dir
	Log        *slog.Logger
	KeepReason func() string // why Dir must outlive the fleet, "" if it need not
	Env        func(name string) string
	Runner     sshx.Runner              // reaches the boxes
	Path       func(path string) string // makes a path as the spec has it absolute
	Keys       []string                 // operators' public keys, authorized_keys form
	// Bootstrap makes what a new machine is given at its order: the text that sets it up at
	// first boot, with a host key in it, and that key's public half, authorized_keys form.
	Bootstrap func(keys []string) (userData, hostKey string, err error)
	Waits     digitalocean.Waits // at DigitalOcean; zero fields are the usual times
}

// Kinds lists the providers that Open accepts.
func Kinds() []string {
	return []string{fleet.ProviderLocal, fleet.ProviderDigitalOcean, fleet.ProviderHosts}
}

// Open returns the provider of a spec. It reads and changes nothing yet.
func Open(s fleet.Spec, c Config) (fleet.Provider, error) {
	here, err := local.New(local.Config{
		Dir: c.Dir, Fleet: s.Name, Supervise: c.Supervise, Log: c.Log,
		KeepDir: func() (bool, string) {
			reason := c.KeepReason()
			return reason != "", reason
		},
	})
	if err != nil {
		return nil, err
	}
	switch s.Provider {
	case fleet.ProviderLocal:
		return here, nil
	case fleet.ProviderDigitalOcean:
		ocean, err := digitalocean.New(digitalocean.Config{
			Spec: s, Token: digitalocean.TokenFrom(s.Ocean.Token, c.Env, c.Path), BaseURL: c.Env("DIGITALOCEAN_API_URL"),
			Bootstrap: c.Bootstrap, Keys: c.Keys, Log: c.Log, Waits: c.Waits,
		})
		if err != nil {
			return nil, err
		}
		return withZone(ocean, here, s), nil
	case fleet.ProviderHosts:
		given, err := hosts.New(hosts.Config{Fleet: s.Name, ID: s.ID, Hosts: s.Hosts, Runner: c.Runner, Path: c.Path})
		if err != nil {
			return nil, err
		}
		return withZone(given, here, s), nil
	}
	return nil, fmt.Errorf("unknown provider %q: accepted are %s", s.Provider, strings.Join(Kinds(), ", "))
}

// As finds what a provider can do beyond its contract, in it or in what it wraps, as
// [errors.As] does with errors.
func As[T any](p fleet.Provider) (T, bool) {
	for p != nil {
		if able, ok := p.(T); ok {
			return able, true
		}
		wrapper, ok := p.(interface{ Unwrap() fleet.Provider })
		if !ok {
			break
		}
		p = wrapper.Unwrap()
	}
	var none T
	return none, false
}

// Server returns what starts the servers that a provider runs beside its machines, nil
// if it runs none.
func Server(p fleet.Provider) func(context.Context) error {
	if s, ok := p.(interface{ Serve(context.Context) error }); ok {
		return s.Serve
	}
	return nil
}
