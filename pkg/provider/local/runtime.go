package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// socketMax is the length in bytes of the longest path that every system takes for a
// Unix socket, without the byte that ends it.
const socketMax = 103

// runtimeDir is the directory of the sockets of this user, made if there is none. It
// is refused where somebody else could put a socket into it.
func runtimeDir() (string, error) {
	name := "fleetctl-" + strconv.Itoa(os.Getuid())
	dir := filepath.Join(os.TempDir(), name)
	if len(dir)+len("/0123456789abcdef.sock") > socketMax {
		dir = filepath.Join("/tmp", name)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("directory of sockets: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("directory of sockets: %w", err)
	}
	if !info.IsDir() || !ours(info) || info.Mode().Perm()&0o077 != 0 {
		return "", fleet.WithHint(fmt.Errorf("directory of sockets: %s is not a directory that only you can use", dir),
			"Remove it, or set TMPDIR to a directory of yours.")
	}
	return dir, nil
}

// socketPath is where the supervisor of a fleet's directory listens.
func socketPath(runtimeDir, dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(runtimeDir, hex.EncodeToString(sum[:8])+".sock")
}

// info is supervisor.json: which process supervises a fleet's directory, and where it
// listens. The file is there from the first answer to the last.
type info struct {
	Proc   boxsim.Proc `json:"proc"`
	Socket string      `json:"socket"`
	Dir    string      `json:"dir"`
}

// supervised reads which supervisor lives; ok is false if none does.
func supervised(dir string) (info, bool, error) {
	var i info
	err := boxsim.ReadJSON(filepath.Join(dir, infoFile), &i)
	if errors.Is(err, fs.ErrNotExist) {
		return info{}, false, nil
	}
	if err != nil {
		return info{}, false, err
	}
	return i, i.Proc.Alive(), nil
}
