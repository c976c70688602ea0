package history

import (
	"testing"
	"time"
)

// In Santiago the clocks go from 23:59:59 to 01:00 once a year.
func TestAxis_ADayThatBeginsAtOneIsADay(t *testing.T) {
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, 9, 1, 0, 0, 0, 0, santiago)
	for step, want := range map[Step]int{StepDay: 9, StepWeek: 2, StepMonth: 1} {
		a, err := newAxis(step, santiago, since, time.Date(2026, 9, 10, 0, 0, 0, 0, santiago))
		if err != nil || a.len() != want {
			t.Fatalf("%s: got %d points, %v, want %d", step, a.len(), err, want)
		}
		for i := range a.len() {
			if at := a.time(i); at.Hour() > 1 {
				t.Errorf("%s: point %d begins at %s, want the begin of a day", step, i, at)
			}
		}
	}
}
