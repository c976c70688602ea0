package web

import (
	"fmt"
	"strings"
)

// The map is equirectangular, two units to a degree, and begins at the Bering Strait.
const (
	mapWest, mapNorth   = -170.0, 79.0
	mapWidth, mapHeight = 720.0, 268.0
	mapScale            = 2.0 // units to a degree
	dotApart            = 2.5 // degrees between the dots that are the land
)

func viewBox() string { return fmt.Sprintf("0 0 %g %g", mapWidth, mapHeight) }

// project says where on the map a place is.
func project(lon, lat float64) (x, y float64) {
	x = (lon - mapWest) * mapScale
	if x < 0 {
		x += mapWidth
	}
	return x, (mapNorth - lat) * mapScale
}

// land is the land as rows of dots: a path that a dash pattern of dotApart makes dots of.
func land() string {
	outlines := outlines()
	var b strings.Builder
	for lat := mapNorth - dotApart; lat > mapNorth-mapHeight/mapScale; lat -= dotApart {
		begun := -1.0
		for lon := mapWest; lon <= mapWest+360; lon += dotApart {
			dry := lon < mapWest+360 && isLand(outlines, lon, lat)
			x := (lon - mapWest) * mapScale
			switch y := (mapNorth - lat) * mapScale; {
			case dry && begun < 0:
				begun = x
				fmt.Fprintf(&b, "M%g %g", x, y)
			case !dry && begun >= 0:
				fmt.Fprintf(&b, "h%g", x-begun-dotApart*mapScale+0.1) // the last dot is drawn at all
				begun = -1
			}
		}
	}
	return b.String()
}

// isLand reports whether a point is within an outline: a ray from it crosses that an odd
// number of times.
func isLand(outlines [][]float64, lon, lat float64) bool {
	if lon > 180 {
		lon -= 360
	}
	for _, o := range outlines {
		in := false
		for i, j := 0, len(o)-2; i < len(o); j, i = i, i+2 {
			if (o[i+1] > lat) != (o[j+1] > lat) && lon < (o[j]-o[i])*(lat-o[i+1])/(o[j+1]-o[i+1])+o[i] {
				in = !in
			}
		}
		if in {
			return true
		}
	}
	return false
}

// outlines are the continents and the larger islands as people remember them: longitude and
// latitude of each corner, good for a map of dots and for nothing else.
func outlines() [][]float64 {
	return [][]float64{
		{ // North America
			-168, 66, -157, 71, -141, 70, -125, 70, -110, 68, -95, 68, -94, 72, -82, 70, -86, 66, -94, 61, -93, 58, -82, 55, -79, 52,
			-77, 57, -78, 62, -70, 61, -64, 58, -56, 53, -60, 50, -66, 50, -65, 47, -61, 46, -66, 44, -70, 43, -74, 40, -76, 36, -81, 31,
			-79.5, 25, -82.5, 28, -84, 30, -90, 30, -97, 28, -98, 22, -95, 18, -91, 19, -87, 21, -88, 16, -83, 15, -83, 10, -78, 9, -82, 8,
			-86, 11, -92, 14, -97, 16, -105, 20, -110, 25, -113, 31, -110, 23, -115, 30, -118, 34, -122, 37, -124, 42, -124, 48, -130, 54,
			-137, 59, -149, 60, -158, 56, -165, 60,
		},
		{-88, 73, -80, 74, -62, 66, -66, 62, -74, 64, -78, 69},                            // Baffin Island
		{-117, 73, -105, 73, -102, 69, -112, 68},                                          // Victoria Island
		{-73, 78, -60, 82, -20, 82, -22, 70, -40, 65, -44, 60, -52, 64, -55, 70, -68, 76}, // Greenland
		{-85, 22, -80, 23, -74, 20, -78, 20},                                              // Cuba
		{ // South America
			-77, 8, -72, 12, -62, 10, -52, 5, -50, 0, -44, -3, -35, -6, -39, -14, -41, -22, -48, -26, -54, -34, -58, -38, -65, -42, -68, -50,
			-69, -55, -74, -52, -74, -42, -72, -30, -70, -18, -76, -14, -81, -5, -80, 1,
		},
		{ // Africa
			-6, 36, 10, 37, 11, 33, 20, 31, 32, 31, 35, 27, 37, 21, 43, 12, 51, 12, 48, 5, 41, -2, 40, -11, 35, -20, 33, -27, 27, -34, 18, -34,
			15, -25, 12, -16, 13, -8, 9, 0, 9, 4, 3, 6, -8, 4, -13, 8, -17, 14, -17, 21, -13, 28, -9, 32,
		},
		{44, -25, 47, -25, 50, -15, 49, -12, 44, -17}, // Madagascar
		{ // Europe and Asia
			-9, 37, -9, 43, -2, 43, -1, 46, -5, 48, 2, 51, 8, 54, 9, 57, 11, 54, 19, 54, 21, 57, 24, 59, 30, 60, 30, 66, 41, 67, 54, 68, 68, 69,
			73, 73, 87, 75, 104, 77, 113, 74, 130, 71, 140, 73, 160, 70, 179, 69, 179, 65, 170, 60, 163, 58, 157, 51, 156, 57, 162, 61, 155, 59,
			143, 59, 135, 54, 141, 52, 140, 46, 131, 43, 128, 39, 129, 35, 126, 35, 125, 39, 121, 40, 118, 38, 122, 37, 120, 34, 122, 30,
			117, 23, 110, 21, 106, 19, 109, 12, 105, 9, 100, 13, 104, 1, 101, 3, 98, 9, 97, 16, 92, 22, 88, 22, 80, 15, 80, 11, 77, 8, 73, 17,
			70, 21, 66, 25, 57, 26, 51, 28, 48, 30, 51, 25, 56, 24, 59, 22, 54, 17, 45, 13, 43, 14, 39, 21, 35, 28, 34, 31, 36, 36, 30, 36,
			27, 37, 26, 40, 29, 41, 35, 42, 41, 41, 37, 45, 31, 46, 28, 43, 23, 40, 22, 37, 20, 40, 13, 45, 12, 44, 18, 40, 16, 38, 12, 42,
			9, 44, 3, 43, 0, 40, -1, 37, -5, 36,
		},
		{5, 59, 5, 62, 14, 68, 25, 71, 31, 70, 41, 67, 30, 66, 30, 60, 22, 60, 22, 63, 25, 65, 22, 66, 17, 62, 19, 60, 16, 57, 13, 55, 11, 59, 8, 58}, // Scandinavia
		{-5, 50, 1, 51, 2, 53, -2, 56, -2, 58, -5, 58, -5, 55, -3, 53},                                                                                // Great Britain
		{-10, 52, -6, 52, -6, 55, -9, 55},                                                 // Ireland
		{-24, 65, -18, 66, -14, 65, -19, 63},                                              // Iceland
		{95, 5, 104, -2, 106, -6, 102, -4},                                                // Sumatra
		{105, -6, 115, -7, 114, -9, 106, -8},                                              // Java
		{109, 1, 117, 7, 119, 5, 116, -4, 110, -3},                                        // Borneo
		{119, -5, 120, 1, 125, 1, 122, -1, 123, -5},                                       // Sulawesi
		{131, -1, 141, -3, 150, -10, 143, -9, 138, -8, 133, -4},                           // New Guinea
		{120, 18, 122, 18, 124, 12, 126, 7, 122, 7, 122, 11, 120, 14},                     // the Philippines
		{130, 31, 131, 34, 137, 37, 140, 41, 141, 45, 145, 43, 141, 41, 141, 36, 136, 34}, // Japan
		{ // Australia
			114, -22, 122, -18, 130, -12, 136, -12, 136, -15, 140, -17, 142, -11, 146, -19, 153, -26, 150, -37, 146, -39, 140, -38, 136, -35,
			131, -31, 124, -33, 115, -34,
		},
		{173, -35, 178, -38, 175, -41, 171, -46, 167, -46, 172, -41, 174, -39}, // New Zealand
	}
}
