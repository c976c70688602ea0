package fleet

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxSuggest bounds what is compared: nobody mistypes a key into a longer one.
const maxSuggest = 64

// nearest is the known word that takes the fewest edits to reach from word; the first
// of several. It is "" only if nothing is known.
func nearest(word string, known []string) string {
	if r := []rune(word); len(r) > maxSuggest {
		word = string(r[:maxSuggest])
	}
	best, least := "", 0
	for _, k := range known {
		d := levenshtein.ComputeDistance(strings.ToLower(word), k)
		if best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// misplaced is the path of a key of that very name in another mapping, "" if there is
// none: a ttl at the top level belongs below dns.
func misplaced(path, name string) string {
	var found string
	var walk func(at string, g group)
	walk = func(at string, g group) {
		for _, k := range g {
			if k.name == name && at != path && found == "" {
				found = join(at, name)
			}
			if sub, ok := k.value.(group); ok {
				walk(join(at, k.name), sub)
			}
		}
	}
	var s Spec
	walk("", keys(&s))
	return found
}
