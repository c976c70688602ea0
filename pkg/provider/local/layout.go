package local

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names below a fleet's directory.
const (
	boxesDir       = "boxes"
	authorizedFile = "authorized_keys"
	infoFile       = "supervisor.json"
	lockFile       = "supervisor.lock"
	logFile        = "supervisor.log"
	startLockFile  = "start.lock"
)

// The names below a box's directory, beside those of package boxsim.
const (
	machineFile = "machine.json"
	hostKeyFile = "host_key"
)

// Directories of boxes that are being made or removed begin with these.
const (
	newPrefix  = ".new-"
	gonePrefix = ".gone-"
)

// ownFiles are what a provider leaves in the fleet's directory beside the boxes.
func ownFiles() []string {
	return []string{authorizedFile, infoFile, lockFile, logFile, startLockFile}
}

func boxDir(dir, id string) string { return filepath.Join(dir, boxesDir, id) }

// checkName refuses what cannot be a part of a file's name.
func checkName(what, name string) error {
	bad := func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) }
	if name == "" || len(name) > 120 || strings.HasPrefix(name, ".") || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%s %q: want 1 to 120 bytes without spaces and slashes, not beginning with a dot", what, name)
	}
	return nil
}
