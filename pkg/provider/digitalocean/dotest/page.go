package dotest

import (
	"net/url"
	"strconv"
)

// links are the neighbours of a page; without any, an empty object.
type links struct {
	Pages *pages `json:"pages,omitempty"`
}

type pages struct {
	First string `json:"first,omitempty"`
	Prev  string `json:"prev,omitempty"`
	Next  string `json:"next,omitempty"`
	Last  string `json:"last,omitempty"`
}

type meta struct {
	Total int `json:"total"`
}

// page answers with the part of all that the request asks for, under name. The limits of
// page and per_page are published: what breaks them does not come here.
func page[T any](q *call, name string, all []T) answer {
	size, number := q.number("per_page", defaultPage), q.number("page", 1)
	last := max(1, (len(all)+size-1)/size)
	from := min((min(number, last+1)-1)*size, len(all))
	part := append([]T{}, all[from:min(from+size, len(all))]...) // never null

	var l links
	if last > 1 {
		l.Pages = &pages{}
		if number > 1 {
			l.Pages.First, l.Pages.Prev = q.pageURL(1), q.pageURL(min(number-1, last))
		}
		if number < last {
			l.Pages.Next, l.Pages.Last = q.pageURL(number+1), q.pageURL(last)
		}
	}
	return ok(map[string]any{name: part, "links": l, "meta": meta{Total: len(all)}})
}

// number is a numeric parameter of the query.
func (q *call) number(name string, unless int) int {
	n, err := strconv.Atoi(q.query.Get(name))
	if err != nil || n < 1 {
		return unless
	}
	return n
}

// pageURL is the request's address with another page.
func (q *call) pageURL(number int) string {
	query := url.Values{}
	for name, values := range q.query {
		query[name] = values
	}
	query.Set("page", strconv.Itoa(number))
	u := url.URL{Scheme: "http", Host: q.r.Host, Path: q.r.URL.Path, RawQuery: query.Encode()}
	return u.String()
}
