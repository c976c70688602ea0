package host

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/relayfleet/fleetctl/fleet"
)

// platformDir is what make build-all calls the directory of a platform.
var platformDir = regexp.MustCompile(`^(linux|darwin)_(amd64|arm64)$`)

// FindBuilds finds the builds of a release for other platforms, as make build-all leaves
// them: OS_ARCH/relay beside main, or beside main's own directory of that form. The map
// has main itself, too. A build of another version is none of this release and left out;
// one that is not what its directory says is an error.
func FindBuilds(main fleet.Release) (map[Platform]fleet.Release, error) {
	own, err := ReadPlatform(main.Path)
	if err != nil {
		return nil, err
	}
	builds := map[Platform]fleet.Release{own: main}
	base := filepath.Dir(main.Path)
	if platformDir.MatchString(filepath.Base(base)) {
		base = filepath.Dir(base)
	}
	found, err := filepath.Glob(filepath.Join(base, "*_*", "relay"))
	if err != nil {
		return nil, fmt.Errorf("relay binaries beside %s: %w", main.Path, err)
	}
	for _, file := range found {
		parts := platformDir.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if parts == nil || isFile(file) != nil || builtVersion(file) != main.Version {
			continue
		}
		is, err := ReadPlatform(file)
		if err != nil {
			return nil, err
		}
		if want := (Platform{OS: parts[1], Arch: parts[2]}); is != want {
			return nil, fleet.WithHint(fmt.Errorf("relay binary %s is built for %s", file, is), "Make the binaries with make build-all.")
		}
		if is == own {
			continue
		}
		sum, err := fileDigest(file)
		if err != nil {
			return nil, fmt.Errorf("relay binary: %w", err)
		}
		builds[is] = fleet.Release{SHA256: sum, Version: main.Version, Path: file}
	}
	return builds, nil
}
