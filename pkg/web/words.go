package web

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// count is a number that may be unknown.
func count[T int | uint64](v *T) string {
	if v == nil {
		return "unknown"
	}
	return number(float64(*v))
}

// number is a number with its thousands apart.
func number(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, fraction, broken := strings.Cut(text, ".")
	if broken {
		whole, fraction, _ = strings.Cut(strconv.FormatFloat(v, 'f', 2, 64), ".")
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var groups []string
	for len(whole) > 3 {
		groups = append(groups, whole[len(whole)-3:])
		whole = whole[:len(whole)-3]
	}
	groups = append(groups, whole)
	slices.Reverse(groups)
	out := sign + strings.Join(groups, ",")
	if fraction != "" {
		out += "." + fraction
	}
	return out
}

// clock is a time for people, "never" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// stamp is a time for programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shortID is a peer ID as it fits into a table: its end tells it from others.
func shortID(id string) string {
	if len(id) <= 16 {
		return id
	}
	return "…" + id[len(id)-8:]
}
