package history

import (
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/stats"
)

func FuzzImport_RowsThatAreTakenMakeSense(f *testing.F) {
	f.Add(oldHead + "2026-05-01T10:00:01Z,nyc1,5,9,public,0,0,1.50,\n")
	f.Add(oldHead + "1777500000,'=cmd,1e300,NaN,\x00,,,-1,x\n\"unclosed")
	f.Add("\ufefftimestamp,region\n")
	f.Fuzz(func(t *testing.T, file string) {
		out := Imported{}
		rows, err := readOld(strings.NewReader(file), monday(), &out)
		if err != nil {
			return
		}
		for i, row := range rows {
			if row.at <= 0 || row.region == "" || clean(row.region, 60) != row.region {
				t.Errorf("got %+v, want a time and a clean region", row)
			}
			if i > 0 && rows[i-1].at > row.at {
				t.Errorf("row %d is before the one before it", i)
			}
			for _, n := range []*int64{row.connected, row.peak, row.uptime} {
				if n != nil && (*n < 0 || *n > stats.MaxCount) {
					t.Errorf("got %d, want a count", *n)
				}
			}
		}
		for _, line := range out.First {
			if clean(line, 400) != line {
				t.Errorf("got %q, want it clean", line)
			}
		}
	})
}

func FuzzParsePeer_AKeyOrAHashOrARefusal(f *testing.F) {
	f.Add(peerID(1))
	f.Add(key(1))
	f.Add("bafzaajaiaejcb3vwvbxx2xdvuq")
	f.Add("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parsePeer(text)
		if got := len(name.key) > 0 || len(name.hash) == 34; got == (err != nil) || len(name.key) > maxKey {
			t.Errorf("%q: got key %x, hash %x and %v", text, name.key, name.hash, err)
		}
	})
}
