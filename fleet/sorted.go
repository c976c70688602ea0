package fleet

import (
	"maps"
	"slices"
)

// sortedKeys lists the keys of both maps, each once.
func sortedKeys(a, b map[string]string) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
