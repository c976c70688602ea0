package web

import "testing"

func TestMap_HasEachRegionOrNamesIt(t *testing.T) {
	on, nowhere := places(regionRows(append(well(40).Relays, Relay{Node: "moon-1", Region: "moon", State: "serving"})))
	if len(on) != 9 || len(nowhere) != 1 || nowhere[0] != "moon" {
		t.Errorf("%d places and %v nowhere, want 9 (nyc1 and nyc3 are one) and moon", len(on), nowhere)
	}
	for i, p := range on {
		if p.X < 0 || p.X > mapWidth || p.Y < 0 || p.Y > mapHeight {
			t.Errorf("%s is beside the map, at %g, %g", p.Label, p.X, p.Y)
		}
		for _, o := range on[:i] {
			if !p.Bare && !o.Bare && p.TX == o.TX && p.TY == o.TY {
				t.Errorf("%s and %s stand on one another", p.Label, o.Label)
			}
		}
	}
}

func TestMap_CitiesStandOnLand(t *testing.T) {
	wet := 0
	for code, at := range cities() {
		dry := false
		for _, d := range [][2]float64{{0, 0}, {2, 0}, {-2, 0}, {0, 2}, {0, -2}} { // a harbour may be a dot beside
			dry = dry || isLand(outlines(), at[0]+d[0], at[1]+d[1])
		}
		if !dry {
			wet++
			t.Logf("%s is in the sea", code)
		}
	}
	if wet > 0 {
		t.Errorf("%d cities are in the sea", wet)
	}
}
