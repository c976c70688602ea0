package history

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/relayfleet/fleetctl/stats"
)

func TestWriteSeries_SaysTheSameInEveryFormat(t *testing.T) {
	at := monday()
	series := []stats.Series{{Metric: "peers_by_tier", Label: "=cmd()", Unit: "peers", Points: []stats.Point{
		{At: at, Figure: known(3, []string{"fra1-1", "nyc1-2"}, at)},
		{At: at.Add(time.Hour), Figure: unknown(nil)},
	}}}
	series[0].Points[0].Blurred = true
	write := func(f Format) []byte {
		t.Helper()
		var out bytes.Buffer
		if err := WriteSeries(&out, f, series); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	lines, err := csv.NewReader(bytes.NewReader(write(FormatCSV))).ReadAll()
	want := [][]string{
		{"at", "metric", "label", "unit", "value", "at_least", "missing", "since", "error", "blurred"},
		{"2026-11-02T12:00:00Z", "peers_by_tier", "'=cmd()", "peers", "3", "true", "fra1-1 nyc1-2", "2026-11-02T12:00:00Z", "0", "true"},
		{"2026-11-02T13:00:00Z", "peers_by_tier", "'=cmd()", "peers", "", "false", "", "", "0", "false"},
	}
	if err != nil || !slices.EqualFunc(lines, want, slices.Equal) {
		t.Errorf("csv: got %q %v, want %q", lines, err, want)
	}
	check := func(format string, rows []SeriesRow, err error) {
		t.Helper()
		if err != nil || len(rows) != 2 || rows[0].Value == nil || *rows[0].Value != 3 || !rows[0].AtLeast || !rows[0].Blurred || rows[1].Blurred || rows[0].Label != "=cmd()" ||
			!rows[0].At.Equal(at) || rows[0].Since == nil || !rows[0].Since.Equal(at) || rows[1].Value != nil || rows[1].Since != nil {
			t.Errorf("%s: got %+v %v, want 3 and unknown", format, rows, err)
		}
	}
	var rows []SeriesRow
	err = json.Unmarshal(write(FormatJSON), &rows)
	check("json", rows, err)
	table := write(FormatParquet)
	rows, err = parquet.Read[SeriesRow](bytes.NewReader(table), int64(len(table)))
	check("parquet", rows, err)
	series = nil
	if got := string(write(FormatJSON)); got != "[]\n" {
		t.Errorf("json of nothing: got %q, want []", got)
	}
}

const oldHead = "timestamp,region,connected,peak,nat,hp_ok,hp_no,uptime_h,peer_id\n"

func TestImport_OldRowsBecomeHistoryOnce(t *testing.T) {
	s := open(t, Options{})
	file := oldHead +
		"2026-05-01T10:00:01Z,nyc1,5,9,public,0,0,1.50," + peerID(1) + "\n" +
		"2026-05-01T10:00:01Z,fra1,7,9,private,0,0,1.50," + peerID(2) + "\n" +
		"2026-05-01T10:30:00Z,nyc1,6,9,public,0,0,2.00," + peerID(1) + "\n" +
		"yesterday,nyc1,6,9,public,0,0,2.00," + peerID(1) + "\n" +
		"2026-05-01T11:00:00Z,nyc1,many,9,public,0,0,2.00," + peerID(1) + "\n" +
		"2026-05-01T11:00:00Z,nyc1\n" +
		"2099-01-01T00:00:00Z,nyc1,6,9,public,0,0,2.00," + peerID(1) + "\n" +
		monday().Add(25*time.Hour).Format(time.RFC3339) + ",nyc1,6,9,public,0,0,2.00," + peerID(1) + "\n" +
		"2014-12-31T23:59:59Z,nyc1,6,9,public,0,0,2.00," + peerID(1) + "\n" +
		"2026-05-01T11:00:00Z,fra1,,,,,,,\n" +
		"2026-05-02T11:00:00Z,fra1,4,9,private,0,0,26.5," + peerID(2) + "\n"
	got, err := s.Import(t.Context(), monday(), strings.NewReader(file))
	if err != nil || got.Rows != 5 || got.Bad != 6 || got.Relays != 2 || len(got.First) != 6 || !strings.HasPrefix(got.First[1], "line 6: connected: ") {
		t.Errorf("got %+v %v, want 5 rows of 2 relays, and 6 bad ones with their lines", got, err)
	}
	if said := strings.Join(got.First, "; "); !strings.Contains(said, `line 8: timestamp: "2099-01-01T00:00:00Z" lies in the future`) || !strings.Contains(said, `line 10: timestamp: "2014-12-31T23:59:59Z" is before 2015`) {
		t.Errorf("got %q, want what is wrong with the times", said)
	}
	for range 2 {
		want := []string{"05-01 10:00 at least 9 without fra1", "05-01 11:00 unknown without fra1"}
		if got := points(t, s, "concurrent", Query{Step: StepHour, Until: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}); !slices.Equal(got, want) {
			t.Errorf("concurrent: got %q, want %q", got, want)
		}
		if got := points(t, s, "peak", Query{Step: StepDay})[0]; got != "05-01 00:00 at least 12 without fra1" {
			t.Errorf("peak: got %q, want 12: of one run of the script", got)
		}
		got, err = s.Import(t.Context(), monday(), strings.NewReader(file))
		if err != nil || got.Rows != 0 || got.Known != 5 {
			t.Errorf("a second time: got %+v %v, want 5 known", got, err)
		}
	}
	at := monday()
	ingest(t, s, at, answer(1, at, 3)) // months later: hours become days, and the old ones stay
	if got := points(t, s, "peak", Query{Step: StepDay, Until: monday().AddDate(0, -6, 0)})[0]; got != "05-01 00:00 at least 12 without fra1" {
		t.Errorf("peak: got %q, want 12 still", got)
	}
	wantFigure(t, figures(t, s, at), "relays_answering", "1")
}

func TestImport_AnotherFileIsRefused(t *testing.T) {
	s := open(t, Options{})
	for _, file := range []string{"", "a,b,c\n1,2,3\n", "{\"json\":true}\n", "\x00\x01\x02"} {
		if _, err := s.Import(t.Context(), monday(), strings.NewReader(file)); err == nil {
			t.Errorf("%q: got no error", file)
		}
	}
	var hint interface{ Hint() string }
	if _, err := s.Import(t.Context(), monday(), strings.NewReader("a,b,c\n")); !errors.As(err, &hint) {
		t.Errorf("got %v, want a hint", err)
	}
}
