package rfc2136

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// mark is one record of a companion: what a comment is in other zones.
type mark struct {
	id      string // of the record, unlike that of every earlier one
	sum     string // of the value that it is about
	comment string
}

// The forms of a companion's records. A comment is what follows "c=", to the end.
var (
	markForm = regexp.MustCompile(`^fleetctl v=1 id=([A-Za-z0-9-]{1,40}) sha=([0-9a-f]{32}) c=(.*)$`)
	listForm = regexp.MustCompile(`^fleetctl v=1 list=([a-z0-9_-]{1,63})$`)
)

func (m mark) rdata() rdata {
	return textRdata("fleetctl v=1 id=" + m.id + " sha=" + m.sum + " c=" + m.comment)
}

// parseMark reads a record of a companion. It reports false for everything that
// [mark.rdata] does not write.
func parseMark(d rdata) (mark, bool) {
	if !d.single() {
		return mark{}, false
	}
	text := d.value()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return mark{}, false
	}
	found := markForm.FindStringSubmatch(text)
	if found == nil || len(found[3]) > dnsaddr.MaxComment {
		return mark{}, false
	}
	return mark{id: found[1], sum: found[2], comment: found[3]}, true
}

// fleet is the one that the mark's comment names, "" if it names none.
func (m mark) fleet() string { return fleetOf(m.comment) }

func fleetOf(comment string) string {
	o, _ := dnsaddr.ParseOwner(comment)
	return o.Fleet
}

// sumOf names a value in a mark.
func sumOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:16])
}

// bareID is the handle of a record that has no mark: the same as long as it is there.
func bareID(name string, d rdata) string {
	sum := sha256.Sum256([]byte(name + "\x00" + string(d)))
	return "txt-" + hex.EncodeToString(sum[:12])
}

// listRdata is the record of the entry name's companion that names a list.
func listRdata(label string) rdata { return textRdata("fleetctl v=1 list=" + label) }

func parseList(d rdata) (label string, ok bool) {
	found := listForm.FindStringSubmatch(d.value())
	if !d.single() || found == nil {
		return "", false
	}
	return found[1], true
}

// listLabel is the label of a list of the fleet at entry.
func listLabel(entry, name string) string {
	domain := strings.TrimPrefix(entry, dnsaddr.Name(""))
	return strings.TrimSuffix(strings.TrimPrefix(name, dnsaddr.Name("")), "."+domain)
}

// listName is the name of the list with a label, false if it cannot be one.
func listName(entry, label string) (string, bool) {
	name := dnsaddr.Name(label + "." + strings.TrimPrefix(entry, dnsaddr.Name("")))
	return name, dnsaddr.IsListName(entry, name)
}

// companion is the name of the marks of a name.
func companion(name string) string { return "_fleetctl." + strings.TrimPrefix(name, dnsaddr.Name("")) }
