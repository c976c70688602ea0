package web

import (
	"fmt"
	"strings"
)

// place is a spot on the map: the regions of one city.
type place struct {
	X, Y   float64
	R      float64 // of its mark
	Tone   tone
	Label  string
	TX, TY float64 // where the label begins
	Title  string  // all that there is to say
	Bare   bool    // no room for the label
}

// Mark is the sign of a tone that is not good.
func (p place) Mark() string {
	if p.Tone == toneGood {
		return ""
	}
	return p.Tone.mark()
}

// places puts regions on the map. Those whose city is not known are named.
func places(all []regionRow) (on []place, nowhere []string) {
	of := make(map[string][]regionRow)
	var order []string
	for _, r := range all {
		code := cityOf(r.Region)
		if _, known := cities()[code]; !known {
			nowhere = append(nowhere, r.Region)
			continue
		}
		if of[code] == nil {
			order = append(order, code)
		}
		of[code] = append(of[code], r)
	}
	for _, code := range order {
		on = append(on, newPlace(code, of[code]))
	}
	label(on)
	return on, nowhere
}

func newPlace(code string, all []regionRow) place {
	p := place{Tone: toneGood, R: 4}
	p.X, p.Y = project(cities()[code][0], cities()[code][1])
	serve, total := 0, 0
	names := make([]string, 0, len(all))
	for _, r := range all {
		if r.Tone.severity() < p.Tone.severity() {
			p.Tone = r.Tone
		}
		serve, total = serve+r.Serve, total+r.All
		names = append(names, r.Region)
	}
	if total > 20 {
		p.R = 6
	}
	p.Label = fmt.Sprintf("%s %d/%d", names[0], serve, total)
	if len(names) > 1 {
		p.Label = fmt.Sprintf("%s %d/%d", code, serve, total)
	}
	p.Title = fmt.Sprintf("%s: %d of %s serve", strings.Join(names, ", "), serve, relays(total))
	return p
}

// The room that a label takes, in units of the map.
const (
	labelHeight = 12.0
	letterWidth = 6.3
)

// box is a rectangle that is taken.
type box struct{ left, top, right, bottom float64 }

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// label finds each label a place beside its mark that no other one takes; one for which
// there is none goes without: the table has it.
func label(all []place) {
	var taken []box
	for _, p := range all {
		taken = append(taken, box{p.X - p.R, p.Y - p.R, p.X + p.R, p.Y + p.R})
	}
	for i := range all {
		p := &all[i]
		p.Bare = true
		width := letterWidth * float64(len(p.Label)+2)
		for _, at := range [][2]float64{
			{p.R + 3, 4}, {-p.R - 3 - width, 4}, {-width / 2, -p.R - 4}, {-width / 2, p.R + 12},
			{p.R + 3, -8}, {p.R + 3, 16}, {-p.R - 3 - width, -8}, {-p.R - 3 - width, 16}, {p.R + 3, 28}, {-p.R - 3 - width, 28},
		} {
			x, y := p.X+at[0], p.Y+at[1]
			room := box{x, y - labelHeight + 2, x + width, y + 2}
			if room.left < 0 || room.right > mapWidth || room.top < 0 || room.bottom > mapHeight || meetsAny(room, taken) {
				continue
			}
			p.TX, p.TY, p.Bare = x, y, false
			taken = append(taken, room)
			break
		}
	}
}

func meetsAny(room box, taken []box) bool {
	for _, b := range taken {
		if room.meets(b) {
			return true
		}
	}
	return false
}

// cityOf is the code of the city in a region's name: "nyc" of nyc1 and of nyc-2.
func cityOf(region string) string {
	letters := strings.ToLower(strings.TrimRight(region, "0123456789-_."))
	if len(letters) == 3 {
		return letters
	}
	return ""
}

// cities are longitude and latitude of the codes that providers name their regions after.
func cities() map[string][2]float64 {
	return map[string][2]float64{
		"ams": {4.9, 52.4}, "arn": {18.1, 59.3}, "ash": {-77.5, 39}, "atl": {-84.4, 33.7}, "blr": {77.6, 13}, "bog": {-74.1, 4.7},
		"bom": {72.9, 19.1}, "cdg": {2.4, 48.9}, "cpt": {18.4, -33.9}, "del": {77.2, 28.6}, "den": {-104.9, 39.7}, "dfw": {-96.8, 32.8},
		"dub": {-6.3, 53.3}, "dxb": {55.3, 25.3}, "ewr": {-74.2, 40.7}, "eze": {-58.4, -34.6}, "fra": {8.7, 50.1}, "fsn": {12.4, 50.5},
		"gru": {-46.6, -23.6}, "hel": {24.9, 60.2}, "hil": {-123, 45.5}, "hkg": {114.2, 22.3}, "hnd": {139.7, 35.7}, "iad": {-77.5, 39},
		"icn": {126.9, 37.5}, "ist": {29, 41}, "jnb": {28, -26.2}, "lax": {-118.2, 34.1}, "lhr": {-0.5, 51.5}, "lon": {-0.1, 51.5},
		"mad": {-3.7, 40.4}, "mel": {145, -37.8}, "mex": {-99.1, 19.4}, "mia": {-80.2, 25.8}, "mil": {9.2, 45.5}, "nbg": {11.1, 49.5},
		"nrt": {140.4, 35.8}, "nyc": {-74, 40.7}, "ord": {-87.6, 41.9}, "osa": {135.5, 34.7}, "par": {2.4, 48.9}, "prg": {14.4, 50.1},
		"ric": {-77.4, 37.5}, "sao": {-46.6, -23.6}, "scl": {-70.7, -33.4}, "sea": {-122.3, 47.6}, "sfo": {-122.4, 37.8}, "sgp": {103.8, 1.4},
		"sin": {103.8, 1.4}, "sjc": {-121.9, 37.3}, "sto": {18.1, 59.3}, "syd": {151.2, -33.9}, "tor": {-79.4, 43.7}, "tyo": {139.7, 35.7},
		"vie": {16.4, 48.2}, "waw": {21, 52.2}, "yul": {-73.6, 45.5}, "yyz": {-79.4, 43.7}, "zrh": {8.5, 47.4}, "akl": {174.8, -36.8},
	}
}
