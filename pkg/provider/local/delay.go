package local

import (
	"errors"
	"time"
)

// parcel is data under way, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// line is one direction of a slow link: first in, first out, and everything is under
// way for the same time.
type line struct {
	delay time.Duration
	queue chan parcel
}

func newLine(delay time.Duration, room int) *line {
	return &line{delay: delay, queue: make(chan parcel, room)}
}

// put hands data over; where the line is full it waits. It is false once stop is closed.
func (l *line) put(data []byte, stop <-chan struct{}) bool {
	select {
	case l.queue <- parcel{data, time.Now().Add(l.delay)}:
		return true
	case <-stop:
		return false
	}
}

// offer hands data over; where the line is full it is lost, as on a real one.
func (l *line) offer(data []byte) {
	select {
	case l.queue <- parcel{data, time.Now().Add(l.delay)}:
	default:
	}
}

var errStopped = errors.New("stopped")

// run delivers until the parcel without data, which is the end, or until stop is closed,
// or until deliver fails.
func (l *line) run(stop <-chan struct{}, deliver func([]byte) error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var p parcel
		select {
		case p = <-l.queue:
		case <-stop:
			return errStopped
		}
		timer.Reset(time.Until(p.due))
		select {
		case <-timer.C:
		case <-stop:
			return errStopped
		}
		if p.data == nil {
			return nil
		}
		if err := deliver(p.data); err != nil {
			return err
		}
	}
}
