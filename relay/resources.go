package relay

import (
	"bufio"
	"bytes"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// diskSpace is what the file system of a directory has for an ordinary user and in all,
// in bytes; 0 and 0 is unknown.
func diskSpace(dir string) (free, total uint64) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bsize <= 0 {
		return 0, 0
	}
	each := uint64(s.Bsize) //nolint:gosec,unconvert // positive, of another type on each system
	return s.Bavail * each, s.Blocks * each
}

// memoryUsed is what the process has in memory, in bytes, where the system tells it
// under /proc; 0 is unknown.
func memoryUsed() uint64 {
	text, err := readBounded("/proc/self/statm", 4096)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 40)
	if err != nil {
		return 0
	}
	return pages * uint64(syscall.Getpagesize()) //nolint:gosec // positive
}

// memoryLimit is how much the process may have: the lowest limit of its control group and
// of those around it, or what the machine has; 0 is unknown.
func memoryLimit() uint64 {
	const groups = "/sys/fs/cgroup"
	text, err := readBounded("/proc/meminfo", 64<<10)
	if err != nil {
		return 0
	}
	most := machineMemory(text)
	text, err = readBounded("/proc/self/cgroup", 64<<10)
	if err != nil {
		return most
	}
	for _, file := range limitFiles(text) {
		text, err := readBounded(filepath.Join(groups, file), 4096)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && limit > 0 && (most == 0 || limit < most) {
			most = limit // "max" is none
		}
	}
	return most
}

// machineMemory reads MemTotal of /proc/meminfo.
func machineMemory(text []byte) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			kib, err := strconv.ParseUint(fields[1], 10, 50)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// limitFiles are the files below /sys/fs/cgroup with limits on the groups that
// /proc/self/cgroup names, of both versions, from the innermost group out.
func limitFiles(text []byte) []string {
	var files []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 || len(files) > 100 {
			continue
		}
		below, name := "", "memory.max"
		switch fields[1] {
		case "":
		case "memory":
			below, name = "memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(below, group, name))
			if group == "/" {
				break
			}
		}
	}
	return files
}
