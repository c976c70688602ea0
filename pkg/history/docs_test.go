package history

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPrivacy_ThePageNamesEveryTableAndEverySpan(t *testing.T) {
	text, err := os.ReadFile("../../docs/privacy.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	s := open(t, Options{})
	err = each(t.Context(), s.reader, `SELECT name FROM sqlite_schema WHERE type = 'table'`, nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/privacy.md does not say what is in the table %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	keep := DefaultRetention()
	for _, want := range []string{
		fmt.Sprintf("minutes %d days, then hours until %d days, then days until %d years", keep.Minutes/day, keep.Hours/day, keep.Days/day/365),
		fmt.Sprintf("all of %d days, the last of each hour until %d days", keep.Minutes/day, keep.Hours/day),
		fmt.Sprintf("until %d days after its last sight", keep.Details/day),
		fmt.Sprintf("wrong clock | %d days", keep.Events/day),
		fmt.Sprintf("which of the %d days", kept),
		fmt.Sprintf("which of the %d weeks", kept),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/privacy.md does not say %q", want)
		}
	}
	want := fmt.Sprintf("is kept by hours after %d days, and by days of UTC after %d; shorter steps of before are unknown", keep.Minutes/day, keep.Hours/day)
	if text, err := os.ReadFile("../../docs/metrics.md"); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("docs/metrics.md does not say %q: %v", want, err)
	}
}

func TestSchema_HasNoColumnForAnAddress(t *testing.T) {
	s := open(t, Options{})
	err := each(t.Context(), s.reader, `SELECT lower(sql) FROM sqlite_schema WHERE sql IS NOT NULL`, nil, func(scan func(...any) error) error {
		var sql string
		err := scan(&sql)
		for line := range strings.Lines(sql) {
			line, _, _ = strings.Cut(line, "--")
			for _, word := range []string{"addr", " ip", "host"} {
				if strings.Contains(line, word) {
					t.Errorf("%s: a column of a peer's address?", strings.TrimSpace(line))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIngest_OfAnAddressTheFamilyIsKept(t *testing.T) {
	s := open(t, Options{})
	at := monday()
	e := entry(1, at, at)
	e.AddressType = "/ip4/203.0.113.7/tcp/9100" // what no relay should write
	six := entry(2, at, at)
	six.AddressType = "ipv6"
	ingest(t, s, at, answer(1, at, 0, e, six, entry(3, at, at)))
	f := figures(t, s, at)
	for family, want := range map[string]string{"other": "1", "ipv6": "1", "ipv4": "1"} {
		if got := text(f.Parts["peers_by_family"][family]); got != want {
			t.Errorf("family %s: got %s of %v, want %s", family, got, f.Parts["peers_by_family"], want)
		}
	}
}
