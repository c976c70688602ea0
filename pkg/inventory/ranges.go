package inventory

import (
	"fmt"
	"regexp"
	"strconv"
)

// rangeForm is a range in a host's name: [01:10], [1:9:2], [a:f].
var rangeForm = regexp.MustCompile(`\[([0-9]{1,9}|[a-zA-Z]):([0-9]{1,9}|[a-zA-Z])(?::([0-9]{1,9}))?\]`)

// expand lists the names that a pattern with ranges stands for, in order, at most most.
func expand(at place, pattern string, most int) ([]string, error) {
	names := []string{pattern}
	for {
		found := rangeForm.FindStringSubmatchIndex(names[0])
		if found == nil {
			return names, nil
		}
		var next []string
		for _, name := range names {
			items, err := items(at, rangeForm.FindStringSubmatch(name), most)
			if err != nil {
				return nil, err
			}
			where := rangeForm.FindStringIndex(name)
			for _, item := range items {
				if len(next) >= most {
					return nil, at.errorf("%s names more than %d hosts", short(pattern), most)
				}
				next = append(next, name[:where[0]]+item+name[where[1]:])
			}
		}
		names = next
	}
}

// items lists what one range stands for.
func items(at place, parts []string, most int) ([]string, error) {
	first, last, step := parts[1], parts[2], 1
	if parts[3] != "" {
		step, _ = strconv.Atoi(parts[3]) // up to nine digits
	}
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	letters := errFrom != nil && errTo != nil
	if letters {
		from, to = int(first[0]), int(last[0])
	}
	switch {
	case (errFrom == nil) != (errTo == nil), from > to, step < 1:
		return nil, at.errorf("%s is no range", short(parts[0]))
	case !letters && len(first) > 1 && first[0] == '0' && len(first) != len(last):
		return nil, at.errorf("%s: both ends of a range with leading zeros have the same length", short(parts[0]))
	case (to-from)/step >= most:
		return nil, at.errorf("%s names more than %d hosts", short(parts[0]), most)
	}
	var out []string
	for n := from; n <= to; n += step {
		item := string(rune(n))
		if !letters {
			item = fmt.Sprintf("%0*d", width(first), n)
		}
		out = append(out, item)
	}
	return out, nil
}

// width is that of numbers with leading zeros, 1 without.
func width(first string) int {
	if len(first) > 1 && first[0] == '0' {
		return len(first)
	}
	return 1
}
