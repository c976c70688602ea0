package history

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

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

// SeriesRow is one point of a series.
type SeriesRow struct {
	At      time.Time  `json:"at" parquet:"at,timestamp(millisecond)"`
	Metric  string     `json:"metric" parquet:"metric"`
	Label   string     `json:"label" parquet:"label"`
	Unit    string     `json:"unit" parquet:"unit"`
	Value   *float64   `json:"value" parquet:"value,optional"` // nil is unknown
	AtLeast bool       `json:"at_least" parquet:"at_least"`
	Missing string     `json:"missing" parquet:"missing"`                             // nodes, with a space between
	Since   *time.Time `json:"since" parquet:"since,optional,timestamp(millisecond)"` // nil is unknown
	Error   float64    `json:"error" parquet:"error"`
	Blurred bool       `json:"blurred" parquet:"blurred"`
}

// SeriesRows are the points of some series as rows, one series after the other.
func SeriesRows(series []stats.Series) []SeriesRow {
	out := []SeriesRow{}
	for _, s := range series {
		for _, p := range s.Points {
			row := SeriesRow{
				At: p.At, Metric: s.Metric, Label: s.Label, Unit: s.Unit, Value: p.Value, AtLeast: p.AtLeast,
				Missing: strings.Join(p.Missing, " "), Error: p.Error, Blurred: p.Blurred,
			}
			if !p.Since.IsZero() {
				row.Since = new(p.Since.UTC())
			}
			out = append(out, row)
		}
	}
	return out
}

// WriteSeries writes one row for each point of the series: at (RFC 3339, in the zone of the
// points), metric, label, unit, value, at_least, missing (separated by spaces), since,
// error and blurred. What is unknown is an empty cell or null; no cell of CSV begins as a formula does.
func WriteSeries(w io.Writer, f Format, series []stats.Series) error {
	rows, err := newRowWriter[SeriesRow](w, f)
	if err != nil {
		return err
	}
	for _, row := range SeriesRows(series) {
		if err := rows.write(row); err != nil {
			return err
		}
	}
	return rows.close()
}

// rowWriter writes structs of one type, whose json tags name the columns.
type rowWriter[T any] struct {
	write func(T) error
	close func() error
}

func newRowWriter[T any](w io.Writer, f Format) (rowWriter[T], error) {
	switch f {
	case FormatCSV, "":
		return csvRows[T](w)
	case FormatJSON:
		return jsonRows[T](w), nil
	case FormatParquet:
		p := parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Snappy))
		return rowWriter[T]{
			write: func(row T) error {
				_, err := p.Write([]T{row})
				return err
			},
			close: p.Close,
		}, nil
	}
	_, err := ParseFormat(string(f))
	return rowWriter[T]{}, err
}

func jsonRows[T any](w io.Writer) rowWriter[T] {
	lead := "[\n "
	return rowWriter[T]{
		write: func(row T) error {
			text, err := json.Marshal(row)
			if err != nil {
				return err
			}
			_, err = io.WriteString(w, lead+string(text))
			lead = ",\n "
			return err
		},
		close: func() error {
			end := "\n]\n"
			if strings.HasPrefix(lead, "[") {
				end = "[]\n"
			}
			_, err := io.WriteString(w, end)
			return err
		},
	}
}

func csvRows[T any](w io.Writer) (rowWriter[T], error) {
	out := csv.NewWriter(w)
	var head []string
	for field := range reflect.TypeFor[T]().Fields() {
		head = append(head, field.Tag.Get("json"))
	}
	if err := out.Write(head); err != nil {
		return rowWriter[T]{}, err
	}
	return rowWriter[T]{
		write: func(row T) error {
			var cells []string
			for _, v := range reflect.ValueOf(row).Fields() {
				cells = append(cells, cellOf(v.Interface()))
			}
			return out.Write(cells)
		},
		close: func() error {
			out.Flush()
			return errors.Join(out.Error())
		},
	}, nil
}

// cellOf writes a value for CSV.
func cellOf(v any) string {
	switch v := v.(type) {
	case string:
		return cell(v)
	case *float64:
		if v != nil {
			return strconv.FormatFloat(*v, 'f', -1, 64)
		}
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.Format(time.RFC3339)
	case *time.Time:
		if v != nil {
			return v.Format(time.RFC3339)
		}
	}
	return ""
}

// cell is text that no spreadsheet takes for a formula: it is led by an apostrophe where
// it began like one.
func cell(text string) string {
	text = strings.TrimSpace(clean(text, 1000))
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}
