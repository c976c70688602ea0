package sshx

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SystemHost is one box in the configuration of the system's ssh.
type SystemHost struct {
	// Target is where it answers. Its Name is what ssh is told; a jump host without one is named after its
	// address. Sudo does not matter.
	Target Target
	// IdentityFiles are private keys, absolute paths, offered after Target.KeyFile. Without any, ssh
	// offers what its agent holds.
	IdentityFiles []string
	// KnownHosts is the pin file, an absolute path.
	KnownHosts string
	// HostKeys are the pinned keys, in authorized_keys form: ssh asks for no other type.
	HostKeys []string
}

// SystemHosts are the boxes and their jump hosts, each once, with what is pinned of them. A box without a pin is ErrNoPin.
func (p *Pins) SystemHosts(boxes []Target, identityFiles ...string) ([]SystemHost, error) {
	var hosts []SystemHost
	seen := map[string]bool{}
	for _, box := range boxes {
		for hop := &box; hop != nil; hop = hop.Jump {
			name := systemName(*hop)
			way, err := routeTo(*hop)
			if err != nil {
				return nil, err
			}
			id := name + " " + string(way)
			if seen[id] {
				continue
			}
			seen[id] = true
			keys, err := p.LookupAll(hop.Addr)
			if err != nil {
				return nil, err
			}
			at := *hop
			at.Name = name
			hosts = append(hosts, SystemHost{Target: at, IdentityFiles: identityFiles, KnownHosts: p.path, HostKeys: keys})
		}
	}
	return hosts, nil
}

// SystemConfig is the text of an ssh_config file: a block for each host, in their order. Jump hosts need blocks
// of their own. It trusts exactly the pins and reads nothing of the user's. What cannot be written so that ssh
// reads the same is an error: no name, user or path can add a directive. The path of the file itself must be free
// of spaces and "%" where there are jump hosts: ssh hands it to a shell, unquoted.
func SystemConfig(hosts []SystemHost) (string, error) {
	blocks := map[string]bool{}
	for _, h := range hosts {
		name := strings.ToLower(systemName(h.Target)) // ssh does not tell cases apart everywhere
		if blocks[name] {
			return "", fmt.Errorf("ssh config: %q names two hosts", systemName(h.Target))
		}
		blocks[name] = true
	}
	var text strings.Builder
	for _, h := range hosts {
		block, err := systemBlock(h)
		if err == nil && h.Target.Jump != nil && !blocks[strings.ToLower(systemName(*h.Target.Jump))] {
			err = fmt.Errorf("its jump host %s is not in the list", systemName(*h.Target.Jump))
		}
		if err != nil {
			return "", fmt.Errorf("ssh config of %s: %w", clean(systemName(h.Target)), err)
		}
		text.WriteString(block)
	}
	return text.String(), nil
}

// Lengths are counted by hand: a regular expression with a large count in it takes
// milliseconds of every start of the program to compile.
var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	plainUser = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]*$`)
	notPlain  = regexp.MustCompile(`[^A-Za-z0-9.]+`)
)

// plain says that a word has a form and no more than 253 characters, which is the most
// that a host's name has.
func plain(form *regexp.Regexp, word string) bool { return len(word) <= 253 && form.MatchString(word) }

// systemName is what ssh calls a host.
func systemName(at Target) string {
	if at.Name != "" {
		return at.Name
	}
	return "jump-" + strings.Trim(notPlain.ReplaceAllString(at.Addr, "-"), "-")
}

func systemBlock(h SystemHost) (string, error) {
	at := h.Target
	if !plain(plainName, systemName(at)) {
		return "", errors.New("the name may have letters, digits, dots, underscores and hyphens only")
	}
	if !plain(plainUser, at.User) {
		return "", fmt.Errorf("user %q cannot be written into it", at.User)
	}
	host, port, err := systemAddr(at.Addr)
	if err != nil {
		return "", err
	}
	algorithms, err := systemAlgorithms(h)
	if err != nil {
		return "", err
	}
	pins, err := systemPath(h.KnownHosts)
	if err != nil {
		return "", err
	}
	files := h.IdentityFiles
	if at.KeyFile != "" && !slices.Contains(files, at.KeyFile) {
		files = append([]string{at.KeyFile}, files...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Host %s\n\tHostName %s\n\tPort %d\n\tUser %s\n", systemName(at), host, port, at.User)
	for _, f := range files {
		file, err := systemPath(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\tIdentityFile %s\n", file)
	}
	if len(files) > 0 {
		b.WriteString("\tIdentitiesOnly yes\n")
	}
	fmt.Fprintf(&b, "\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile none\n\tStrictHostKeyChecking yes\n", pins)
	fmt.Fprintf(&b, "\tHostKeyAlgorithms %s\n\tCheckHostIP no\n\tUpdateHostKeys no\n", strings.Join(algorithms, ","))
	jump := "none"
	if at.Jump != nil {
		jump = systemName(*at.Jump)
	}
	fmt.Fprintf(&b, "\tProxyJump %s\n", jump)
	return b.String(), nil
}

// systemAddr splits an address into a host as HostName takes it and a port.
func systemAddr(addr string) (host string, port uint64, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return "", 0, fmt.Errorf("%q has no port number", addr)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return host, port, nil
	}
	if !plain(plainName, host) {
		return "", 0, fmt.Errorf("%q is neither an address nor a host name", host)
	}
	return host, port, nil
}

// systemAlgorithms are those of the pinned keys, the first pin's first.
func systemAlgorithms(h SystemHost) ([]string, error) {
	if len(h.HostKeys) == 0 {
		return nil, &NoPinError{Node: h.Target.Name, Addr: h.Target.Addr, File: h.KnownHosts}
	}
	var all []string
	for _, text := range h.HostKeys {
		key, err := parseKey(text)
		if err != nil {
			return nil, err
		}
		for _, a := range keyAlgorithms(key.Type()) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all, nil
}

// systemPath quotes a path. ssh splits at spaces, ends at quotes, and expands "~", "%" and "${".
func systemPath(path string) (string, error) {
	slashed := filepath.ToSlash(path)
	switch {
	case !filepath.IsAbs(path):
		return "", fmt.Errorf("path %q is not absolute", path)
	case !utf8.ValidString(slashed), strings.ContainsAny(slashed, `"\`), strings.Contains(slashed, "${"),
		strings.ContainsFunc(slashed, unicode.IsControl):
		return "", fmt.Errorf("path %q cannot be written into it", path)
	}
	return `"` + strings.ReplaceAll(slashed, "%", "%%") + `"`, nil
}
