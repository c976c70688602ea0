package cftest

import (
	"cmp"
	"slices"
	"strings"
)

// listRecords answers with the records that the filters of the query let through.
func listRecords(_ *Cloud, q *call) answer {
	filters := q.filters()
	either := q.query.Get("match") == "any"
	var found []*record
	for _, r := range q.zone.sorted() {
		if passes(r, filters, either) && q.searched(r) {
			found = append(found, r)
		}
	}
	if order := orders[q.query.Get("order")]; order != nil {
		slices.SortStableFunc(found, order)
	} else {
		slices.SortStableFunc(found, orders["type"])
	}
	if q.query.Get("direction") == "desc" {
		slices.Reverse(found)
	}
	return page(q, q.number("per_page", recordsPage), found, func(r *record) any { return r.body() })
}

// orders are the fields by which a list can be ordered.
var orders = map[string]func(a, b *record) int{
	"type":    func(a, b *record) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) },
	"name":    func(a, b *record) int { return cmp.Compare(a.Name, b.Name) },
	"content": func(a, b *record) int { return cmp.Compare(a.Content, b.Content) },
	"ttl":     func(a, b *record) int { return cmp.Compare(a.TTL, b.TTL) },
	"proxied": func(a, b *record) int { return cmp.Compare(btoi(a.Proxied), btoi(b.Proxied)) },
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type filter func(r *record) bool

// passes joins the filters with and, or with or. No filter lets everything through.
func passes(r *record, filters []filter, either bool) bool {
	if len(filters) == 0 {
		return true
	}
	for _, f := range filters {
		if f(r) == either {
			return either
		}
	}
	return !either
}

// comparisons are the suffixes of a filter's name. The case of letters does not matter.
var comparisons = map[string]func(have, want string) bool{
	"":            func(have, want string) bool { return have == want },
	".exact":      func(have, want string) bool { return have == want },
	".contains":   strings.Contains,
	".startswith": strings.HasPrefix,
	".endswith":   strings.HasSuffix,
}

// fields are what can be compared. Contents are compared as they were posted: what was
// posted in quotes begins with a quote.
var fields = map[string]func(r *record) string{
	"name":    func(r *record) string { return r.Name },
	"content": func(r *record) string { return r.Content },
	"comment": func(r *record) string { return r.Comment },
	"type":    func(r *record) string { return r.Type },
}

func (q *call) filters() []filter {
	var all []filter
	for field, of := range fields {
		for suffix, compare := range comparisons {
			if name := field + suffix; q.query.Has(name) {
				want := strings.ToLower(q.query.Get(name))
				all = append(all, func(r *record) bool { return compare(strings.ToLower(of(r)), want) })
			}
		}
	}
	if q.query.Has("comment.present") {
		all = append(all, func(r *record) bool { return r.Comment != "" })
	}
	if q.query.Has("comment.absent") {
		all = append(all, func(r *record) bool { return r.Comment == "" })
	}
	if q.query.Has("proxied") {
		want := q.query.Get("proxied") == "true"
		all = append(all, func(r *record) bool { return r.Proxied == want })
	}
	if tags := q.tagFilters(); len(tags) > 0 {
		either := q.query.Get("tag_match") == "any"
		all = append(all, func(r *record) bool { return passes(r, tags, either) })
	}
	return all
}

// tagFilters are those on tags, which are written name:value.
func (q *call) tagFilters() []filter {
	var all []filter
	for suffix, compare := range comparisons {
		for _, want := range q.query["tag"+suffix] {
			name, value, _ := strings.Cut(strings.ToLower(want), ":")
			all = append(all, func(r *record) bool {
				return slices.ContainsFunc(r.Tags, func(tag string) bool {
					n, v, _ := strings.Cut(strings.ToLower(tag), ":")
					return n == name && compare(v, value)
				})
			})
		}
	}
	named := func(r *record, name string) bool {
		return slices.ContainsFunc(r.Tags, func(tag string) bool {
			n, _, _ := strings.Cut(tag, ":")
			return strings.EqualFold(n, name)
		})
	}
	for _, name := range q.query["tag.present"] {
		all = append(all, func(r *record) bool { return named(r, name) })
	}
	for _, name := range q.query["tag.absent"] {
		all = append(all, func(r *record) bool { return !named(r, name) })
	}
	return all
}

// searched applies the search that is meant for people.
func (q *call) searched(r *record) bool {
	words := strings.ToLower(q.query.Get("search"))
	return words == "" || strings.Contains(strings.ToLower(r.Name+"\n"+r.Content+"\n"+r.Comment), words)
}
