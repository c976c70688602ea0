package host

import (
	"context"

	"github.com/relayfleet/fleetctl/fleet"
)

// Builds are one release for several platforms.
type Builds struct {
	Main fleet.Release // what plans speak of
	Of   map[Platform]fleet.Release
}

// WithBuilds returns Hosts that install on each box the build for what the box says it
// is, wherever the release of builds is to be installed. A box that runs another build of
// that release is read as one that runs it. A box for which there is no build gets the
// release as it is, and refuses it by name. builds is called when it is first needed; it
// is safe for concurrent use.
func (h *Hosts) WithBuilds(builds func() (Builds, error)) fleet.Hosts {
	return &anyPlatform{Hosts: h, builds: builds}
}

type anyPlatform struct {
	*Hosts
	builds func() (Builds, error)
}

// Inspect calls every build of the release by the release's digest.
func (a *anyPlatform) Inspect(ctx context.Context, m fleet.Machine) (fleet.Relay, error) {
	rel, err := a.Hosts.Inspect(ctx, m)
	if err != nil || rel.SHA256 == "" {
		return rel, err
	}
	all, err := a.builds()
	if err != nil {
		return rel, nil // whoever installs meets the same error
	}
	for _, build := range all.Of {
		if build.SHA256 == rel.SHA256 {
			rel.SHA256 = all.Main.SHA256
		}
	}
	return rel, nil
}

// Configure installs the build for the box.
func (a *anyPlatform) Configure(ctx context.Context, m fleet.Machine, config string, r fleet.Release) error {
	if r.SHA256 == "" {
		return a.Hosts.Configure(ctx, m, config, r)
	}
	all, err := a.builds()
	if err != nil {
		return err
	}
	if r.SHA256 == all.Main.SHA256 && len(all.Of) > 1 {
		is, err := a.platform(ctx, m)
		if err != nil {
			return err
		}
		if build, ok := all.Of[is]; ok {
			r = build
		}
	}
	return a.Hosts.Configure(ctx, m, config, r)
}

// platform is what a box says it is.
func (h *Hosts) platform(ctx context.Context, m fleet.Machine) (Platform, error) {
	b, err := h.box(m)
	if err != nil {
		return Platform{}, err
	}
	out, err := b.exec(ctx, uname())
	if err != nil {
		return Platform{}, err
	}
	return parseUname(out)
}
