package host

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/relayfleet/fleetctl/fleet"
)

// ErrNoBinary means that there is no relay binary to install.
var ErrNoBinary = errors.New("no relay binary was found")

// FindRelease finds the relay binary to install: wanted (relay.binary of the spec) if
// it is not "", else the file "relay" beside executable (fleetctl's own path), else the
// one on PATH. None is [ErrNoBinary]; a wanted one that is missing is an error and is
// not looked for elsewhere. The binary is read and not run; whether it is built for a
// box is checked when that box gets it.
func FindRelease(wanted, executable string) (fleet.Release, error) {
	path, err := findBinary(wanted, executable)
	if err != nil {
		return fleet.Release{}, err
	}
	if _, err := ReadPlatform(path); err != nil {
		return fleet.Release{}, err
	}
	sum, err := fileDigest(path)
	if err != nil {
		return fleet.Release{}, fmt.Errorf("relay binary: %w", err)
	}
	return fleet.Release{SHA256: sum, Version: builtVersion(path), Path: path}, nil
}

func findBinary(wanted, executable string) (string, error) {
	const hint = "Make the relay binary with make build."
	if wanted != "" {
		if err := isFile(wanted); err != nil {
			return "", fleet.WithHint(fmt.Errorf("relay.binary: %w", err), hint)
		}
		return filepath.Abs(wanted)
	}
	for _, from := range beside(executable) {
		if path := filepath.Join(filepath.Dir(from), "relay"); isFile(path) == nil {
			return filepath.Abs(path)
		}
	}
	if path, err := exec.LookPath("relay"); err == nil {
		return filepath.Abs(path)
	}
	return "", fleet.WithHint(
		fmt.Errorf("%w: not beside %s, nor on PATH, and relay.binary names none", ErrNoBinary, executable), hint)
}

// beside lists the paths of a program beside which its companions may stand: where it
// was called, and where a symbolic link there leads.
func beside(executable string) []string {
	if executable == "" {
		return nil
	}
	paths := []string{executable}
	if target, err := filepath.EvalSymlinks(executable); err == nil && target != executable {
		paths = append(paths, target)
	}
	return paths
}

func isFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return nil
}

// fileDigest is the SHA-256 of a file in lower-case hex.
func fileDigest(path string) (string, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// builtVersion is the version that the Go linker wrote into a binary, "" if it says none.
func builtVersion(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return clean(v, 80)
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return clean(s.Value, 12)
		}
	}
	return ""
}
