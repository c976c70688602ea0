package cftest

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// label is what names are made of here; "*" stands for any.
var label = regexp.MustCompile(`^(\*|[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)$`)

// check refuses a record that no zone of this plan can hold, whatever else it holds.
func (z *zone) check(r Record) *refusal {
	if refused := checkName(r.Name); refused != nil {
		return refused
	}
	if refused := checkContent(r); refused != nil {
		return refused
	}
	if r.TTL%time.Second != 0 || r.TTL != Auto && (r.TTL < z.minTTL || r.TTL > maxTTL) {
		return invalid(codeTTL, "TTL must be between %d and 86400 seconds, or 1 for Automatic.", int(z.minTTL/time.Second))
	}
	switch {
	case utf8.RuneCountInString(r.Comment) > z.comment:
		return invalid(codeComment, "DNS record comment has %d characters, exceeding the limit of %d.", utf8.RuneCountInString(r.Comment), z.comment)
	case strings.ContainsAny(r.Comment, "\r\n"):
		return invalid(codeComment, "DNS record comment must not contain newlines.")
	case len(r.Tags) > z.tags:
		return invalid(codeTags, "DNS record has %d tags, exceeding the quota of %d.", len(r.Tags), z.tags)
	case r.Proxied && !proxiable(r.Type):
		return refuse(http.StatusBadRequest, 9004, "This record type cannot be proxied.")
	}
	return nil
}

func checkName(name string) *refusal {
	if len(name) > maxName {
		return invalid(codeName, "DNS name is too long.")
	}
	for part := range strings.SplitSeq(name, ".") {
		if len(part) > 63 || !label.MatchString(part) {
			return invalid(codeName, "DNS name is invalid.")
		}
	}
	return nil
}

func checkContent(r Record) *refusal {
	bad := func(why string) *refusal {
		return refuse(http.StatusBadRequest, codeContent, "Content for %s record %s", r.Type, why)
	}
	if r.Content == "" {
		return bad("is required.")
	}
	at, err := netip.ParseAddr(r.Content)
	switch r.Type {
	case "A":
		if err != nil || !at.Is4() {
			return bad("must be a valid IPv4 address.")
		}
	case "AAAA":
		if err != nil || !at.Is6() || at.Zone() != "" {
			return bad("must be a valid IPv6 address.")
		}
	case "CNAME", "MX", "NS":
		if checkName(strings.ToLower(strings.TrimSuffix(r.Content, "."))) != nil || strings.EqualFold(r.Content, r.Name) {
			return bad("must be a valid hostname.")
		}
	case "TXT":
		all, err := characterStrings(r.Content)
		if err != nil {
			return bad("is invalid: " + err.Error() + ".")
		}
		if size := len(strings.Join(all, "")) + len(all); size > maxRecord {
			return bad("is too long.")
		}
	default:
		return invalid(codeType, "DNS record type %s is not simulated.", r.Type)
	}
	return nil
}
