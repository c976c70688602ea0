package host

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// Platform is a system and a processor in Go's words: linux, amd64.
type Platform struct{ OS, Arch string }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// parseUname reads the answer to [uname]: "Linux x86_64".
func parseUname(text string) (Platform, error) {
	words := strings.Fields(text)
	if len(words) != 2 {
		return Platform{}, fmt.Errorf("uname -s -m: the box says %q", clean(text, 100))
	}
	arch := strings.ToLower(clean(words[1], 40))
	switch arch {
	case "x86_64":
		arch = "amd64"
	case "aarch64":
		arch = "arm64"
	case "i386", "i686":
		arch = "386"
	case "armv6l", "armv7l":
		arch = "arm"
	}
	return Platform{OS: strings.ToLower(clean(words[0], 40)), Arch: arch}, nil
}

// ReadPlatform says which system the binary at path is built for, from its headers;
// the file is not run.
func ReadPlatform(path string) (Platform, error) {
	if f, err := elf.Open(path); err == nil {
		defer func() { _ = f.Close() }()
		return elfPlatform(f), nil
	}
	if f, err := macho.Open(path); err == nil {
		defer func() { _ = f.Close() }()
		return machoPlatform(f), nil
	}
	return Platform{}, fleet.WithHint(
		fmt.Errorf("relay binary %s: %w", path, errors.New("neither an ELF nor a Mach-O program")),
		"Make the relay binary with make build.")
}

func elfPlatform(f *elf.File) Platform {
	p := Platform{OS: "linux", Arch: strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))}
	if f.OSABI == elf.ELFOSABI_FREEBSD {
		p.OS = "freebsd"
	}
	switch f.Machine {
	case elf.EM_X86_64:
		p.Arch = "amd64"
	case elf.EM_AARCH64:
		p.Arch = "arm64"
	case elf.EM_386:
		p.Arch = "386"
	case elf.EM_ARM:
		p.Arch = "arm"
	case elf.EM_RISCV:
		p.Arch = "riscv64"
	}
	return p
}

func machoPlatform(f *macho.File) Platform {
	p := Platform{OS: "darwin", Arch: strings.ToLower(f.Cpu.String())}
	switch f.Cpu {
	case macho.CpuAmd64:
		p.Arch = "amd64"
	case macho.CpuArm64:
		p.Arch = "arm64"
	}
	return p
}
