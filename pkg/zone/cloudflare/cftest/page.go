package cftest

import (
	"math"
	"strconv"
)

// resultInfo says which part of a list an answer is.
type resultInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"` // of what matches the filters
	TotalPages int `json:"total_pages"`
}

// page answers with the part of all that the request asks for. Beyond the last page there
// is an empty one.
func page[T any](q *call, size int, all []T, show func(T) any) answer {
	number := q.number("page", 1)
	last := (len(all) + size - 1) / size
	part := []any{}
	if number <= last {
		from := (number - 1) * size
		for _, one := range all[from:min(from+size, len(all))] {
			part = append(part, show(one))
		}
	}
	a := ok(part)
	e, _ := a.body.(envelope)
	e.ResultInfo = &resultInfo{Page: number, PerPage: size, Count: len(part), TotalCount: len(all), TotalPages: last}
	a.body = e
	return a
}

// number is a numeric parameter of the query; the description lets no other through.
func (q *call) number(name string, unless int) int {
	n, err := strconv.ParseFloat(q.query.Get(name), 64)
	if err != nil || n < 1 {
		return unless
	}
	return int(min(n, math.MaxInt32))
}
