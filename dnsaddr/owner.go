package dnsaddr

import "strings"

// MaxComment is the longest comment in bytes that every zone keeps.
const MaxComment = 100

// mark begins the comment of every record that fleetctl wrote.
const mark = "fleetctl:"

// Owner says whose a record is. It is kept in the record's comment, because the
// value belongs to the clients.
type Owner struct {
	Fleet string // name of the fleet
	Relay string // node of the relay, "nyc1-1"
}

// Comment is the text beside the record: "fleetctl:<fleet>/<relay>".
func (o Owner) Comment() string { return mark + o.Fleet + "/" + o.Relay }

// ParseOwner reads a comment. It reports false for every comment that is not exactly
// one that [Owner.Comment] writes: a record with such a comment is foreign.
func ParseOwner(comment string) (Owner, bool) {
	if len(comment) > MaxComment {
		return Owner{}, false
	}
	text, ok := strings.CutPrefix(comment, mark)
	if !ok {
		return Owner{}, false
	}
	fleet, relay, ok := strings.Cut(text, "/")
	if !ok || !isOwnerPart(fleet) || !isOwnerPart(relay) {
		return Owner{}, false
	}
	return Owner{Fleet: fleet, Relay: relay}, true
}

// Claimed reports whether a comment says that its record belongs to some fleet, be it one
// that this version cannot read. Such a record is never taken over.
func Claimed(comment string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(comment)), mark)
}

// TakesOver reports whether an update that changes a comment takes its record from
// another fleet, or from whatever else [Claimed] it. No zone makes such an update.
func TakesOver(before, after string) bool {
	if before == after || !Claimed(before) {
		return false
	}
	was, ok := ParseOwner(before)
	is, owned := ParseOwner(after)
	return !ok || !owned || was.Fleet != is.Fleet
}

// isOwnerPart accepts the names that a fleet and a node can have.
func isOwnerPart(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) && r != '.' }) < 0
}

// Owner of the record, false if it is foreign to every fleet.
func (r Record) Owner() (Owner, bool) { return ParseOwner(r.Comment) }

// OwnedBy returns the node of a fleet whose record it is, false if it is not marked as that
// fleet's.
func (r Record) OwnedBy(fleet string) (node string, ok bool) {
	o, ok := r.Owner()
	if !ok || o.Fleet != fleet {
		return "", false
	}
	return o.Relay, true
}

// Addr that the record publishes; the errors are those of [ParseValue].
func (r Record) Addr() (Addr, error) { return ParseValue(r.Value) }
