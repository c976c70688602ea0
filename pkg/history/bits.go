package history

import "time"

// Activity of a peer is kept as two bitmaps that end at its last sight: bit n is the UTC
// day, or the UTC week from Monday, n before that of the last sight. 64 of each fit.
const kept = 64

// daySecs is a UTC day.
const daySecs = 24 * 3600

// dayOf numbers UTC days from 1970-01-01.
func dayOf(secs int64) int64 { return floor(secs, daySecs) / daySecs }

// weekOf numbers UTC weeks from Monday; 1970-01-01 was a Thursday of week 0.
func weekOf(secs int64) int64 { return floor(dayOf(secs)+3, 7) / 7 }

// weekStart is the first second of a week.
func weekStart(week int64) time.Time { return time.Unix((week*7-3)*daySecs, 0).UTC() }

// moveEnd makes the bitmap end at a later number.
func moveEnd(bits uint64, by int64) uint64 {
	if by >= kept {
		return 0
	}
	return bits << by
}

// markAt sets the bit of number n in a bitmap that ends at end; what lies outside of it is
// forgotten.
func markAt(bits uint64, end, n int64) uint64 {
	if n > end || end-n >= kept {
		return bits
	}
	return bits | 1<<(end-n)
}

// markedAt reports whether number n is in a bitmap that ends at end.
func markedAt(bits uint64, end, n int64) bool {
	return n <= end && end-n < kept && bits>>(end-n)&1 == 1
}
