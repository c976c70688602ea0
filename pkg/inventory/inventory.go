// Package inventory reads what people have already written down of their machines:
// Ansible inventories, in INI and in YAML, and ssh_config files.
//
// Readers are pure but for the files that an ssh_config includes, which they get from
// their caller. Everything is bounded: text that is too large, too deep or names too many
// machines is an [Error] with its line, and so is what cannot be understood. Nothing is
// evaluated: a Jinja template where a value is needed is an error, never a guess.
package inventory

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is read.
const (
	MaxText  = 1 << 20 // bytes of one file
	MaxHosts = 1000    // machines of one inventory
	maxDepth = 32      // groups within groups, and includes within includes
)

// Machine is one entry.
type Machine struct {
	Name    string            // as the file calls it
	Address string            // IP address or name to connect to
	Port    int               // 0: not said
	User    string            // "": not said
	Key     string            // private key file, "": not said
	Jump    string            // [user@]host[:port], "": none
	Groups  []string          // that it is in, directly or not, sorted
	Vars    map[string]string // every plain variable that holds for it
	File    string            // where it is named first
	Line    int
}

// Error is what is wrong with a file.
type Error struct {
	File string
	Line int // from 1; 0: the file as a whole
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func (p place) errorf(format string, args ...any) error {
	return &Error{File: p.file, Line: p.line, Text: fmt.Sprintf(format, args...)}
}

// short is text from a file for an error: quoted and bounded.
func short(s string) string { return fmt.Sprintf("%.60q", s) }

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	userForm = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
)

// isName says that a word can be a host's name or address.
func isName(word string) bool { return len(word) <= 253 && nameForm.MatchString(word) }

// set reads the values of a machine out of words. Empty ones are not said.
func (m *Machine) set(at place, address, port, user, key, jump string) error {
	for what, v := range map[string]string{"address": address, "port": port, "user": user, "key file": key, "jump host": jump} {
		if strings.Contains(v, "{{") || strings.Contains(v, "{%") {
			return at.errorf("%s: the %s is a template, which is not evaluated: %s", m.Name, what, short(v))
		}
	}
	m.Address, m.User, m.Key, m.Jump = strings.Trim(address, "[]"), user, key, jump
	if _, err := netip.ParseAddr(m.Address); err != nil && !isName(m.Address) {
		return at.errorf("%s: %s is no address", m.Name, short(address))
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return at.errorf("%s: %s is no port", m.Name, short(port))
		}
		m.Port = n
	}
	if user != "" && !userForm.MatchString(user) {
		return at.errorf("%s: %s is no user's name", m.Name, short(user))
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !strconv.IsPrint(r) }) || len(key) > 4096 {
		return at.errorf("%s: %s is no path", m.Name, short(key))
	}
	return nil
}

// sorted puts machines into the order of their names.
func sorted(all []Machine) []Machine {
	slices.SortStableFunc(all, func(a, b Machine) int { return strings.Compare(a.Name, b.Name) })
	return all
}
