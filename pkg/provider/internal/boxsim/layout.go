package boxsim

import "path/filepath"

// The names below a box's directory.
const (
	UnitFile    = "unit.json"
	JournalFile = "relay.log"
	RootDir     = "root"
)

// The paths on a box, below its root.
const (
	RelayPath  = "opt/relay/current/relay"
	ConfigPath = "etc/relay/relay.yaml"
	StatePath  = "var/lib/relay"
	LockPath   = StatePath + "/relay.lock" // held by the relay that uses the state
	Releases   = "opt/relay/releases"
)

// Root is "/" of the box in dir.
func Root(dir string) string { return filepath.Join(dir, RootDir) }

// Environment of what runs on a box: nothing of the operator's, whose tokens may be in it.
func Environment(dir string) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + filepath.Join(Root(dir), StatePath)}
}
