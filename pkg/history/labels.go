package history

import (
	"cmp"
	"maps"
	"slices"
)

// Labels that stand for a group without a name.
const (
	unknownLabel = "unknown"
	otherLabel   = "other"
)

// countedLabel stands in figures for "the groups were counted", with a value of 0: where
// nobody was in any group there is no other row.
const countedLabel = ""

// maxLabels is how many groups a metric has at most; the smallest become "other".
const maxLabels = 64

// largest keeps the largest groups and adds the rest up.
func largest(groups map[string]int64, most int) map[string]int64 {
	if len(groups) <= most {
		return groups
	}
	labels := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(groups[b], groups[a]), cmp.Compare(a, b))
	})
	out := make(map[string]int64, most)
	for i, label := range labels {
		if i >= most-1 {
			label = otherLabel
		}
		out[label] += groups[labels[i]]
	}
	return out
}
