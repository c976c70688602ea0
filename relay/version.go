package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/relayfleet/fleetctl/stats"
)

// release is the program that runs. Its digest is computed when first asked for, from
// the file opened at the start: a later release at the same path is another program.
type release struct {
	version, revision string

	once   *sync.Once
	digest *string
}

func newRelease(cfg Config) release {
	return release{version: cfg.Version, revision: cfg.Revision, once: new(sync.Once), digest: new(string)}
}

func (r release) sha256() string {
	r.once.Do(func() { *r.digest = executableDigest() })
	return *r.digest
}

// executableDigest is the SHA-256 of the running executable in hex; empty if it
// cannot be read.
func executableDigest() string {
	path := "/proc/self/exe" // still the program that runs after its name was moved
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return ""
		}
	}
	f, err := os.Open(path) //nolint:gosec // our own executable
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // read only
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// ThisProgram is the version of the running program, without a relay.
func ThisProgram(version, revision string) stats.Version {
	return stats.Version{Version: version, Revision: revision, Go: runtime.Version(), SHA256: executableDigest()}
}
