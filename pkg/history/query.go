package history

import (
	"fmt"
	"time"
)

// Step is the length of a point in a series: a minute, an hour, or a day, a week or a
// month of the calendar in a time zone.
type Step string

// The steps, as they are written.
const (
	StepMinute Step = "1m"
	StepHour   Step = "1h"
	StepDay    Step = "1d"
	StepWeek   Step = "1w" // from Monday
	StepMonth  Step = "1M"
)

// Steps are the accepted steps, shortest first.
func Steps() []Step { return []Step{StepMinute, StepHour, StepDay, StepWeek, StepMonth} }

// ParseStep reads a step; "minute", "hour", "day", "week" and "month" are accepted too. Another one is [ErrQuery].
func ParseStep(text string) (Step, error) {
	names := []string{"minute", "hour", "day", "week", "month"}
	for i, s := range Steps() {
		if text == string(s) || text == names[i] {
			return s, nil
		}
	}
	return "", question{fmt.Errorf("step %q: accepted are 1m, 1h, 1d, 1w and 1M", clean(text, 20))}
}

// Query says which part of the history is wanted, and how finely.
type Query struct {
	Since    time.Time // zero: from the first collection on
	Until    time.Time // zero: until the last collection
	Step     Step      // "": the finest that gives no more than some hundred points
	Location *time.Location
	By       bool // split by the metric's dimension; without one, by relay
}
