package apitest

import "path"

// Step says which requests a script of faults is about. The zero value is the first one,
// whatever it asks for.
type Step struct {
	Method string // empty: any
	Path   string // a path template, or a pattern of path.Match for the whole path; empty: any
	Nth    int    // the first of the matching requests that is hit, from 1; 0 is 1
	Times  int    // how many are hit from there; 0 is 1, negative is all
}

// Matches reports whether a request is one of those that count.
func (s Step) Matches(method, template, whole string) bool {
	if s.Method != "" && s.Method != method {
		return false
	}
	if s.Path == "" || s.Path == template {
		return true
	}
	matched, err := path.Match(s.Path, whole)
	return err == nil && matched
}

// Hits reports whether the n-th matching request, counted from 1, is hit.
func (s Step) Hits(n int) bool {
	first, times := max(s.Nth, 1), s.Times
	if times == 0 {
		times = 1
	}
	return n >= first && (times < 0 || n < first+times)
}
