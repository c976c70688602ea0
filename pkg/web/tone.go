package web

// tone says how bad a state is. It is never the only sign of it: the word stands beside.
type tone string

// The tones, from the worst.
const (
	toneBad     tone = "bad"
	toneUnknown tone = "unknown"
	toneWarn    tone = "warn"
	toneGood    tone = "good"
)

// severity orders tones, the worst first.
func (t tone) severity() int {
	switch t {
	case toneBad:
		return 0
	case toneUnknown:
		return 1
	case toneWarn:
		return 2
	}
	return 3
}

// mark is a sign of the tone for those who do not see its colour.
func (t tone) mark() string {
	switch t {
	case toneBad:
		return "✕"
	case toneUnknown:
		return "?"
	case toneWarn:
		return "▲"
	}
	return "●"
}

// toneOf is the tone of a relay's state. A word that is not known here is a warning.
func toneOf(state string) tone {
	switch state {
	case "serving", "full", "ready":
		return toneGood
	case "down", "missing", "stopped", "unreachable", "wrong peer", "not serving":
		return toneBad
	case "", "unknown", "unreadable", "elsewhere":
		return toneUnknown
	}
	return toneWarn
}

// serving counts the relays that serve, and those of which nobody knows.
func serving(relays []Relay) (serve, unknown int) {
	for _, r := range relays {
		switch {
		case r.State == "serving" || r.State == "full":
			serve++
		case toneOf(r.State) == toneUnknown:
			unknown++
		}
	}
	return serve, unknown
}
