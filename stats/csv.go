package stats

import (
	"strconv"
	"strings"
	"time"
)

// CSVHeader is the first line of the CSV form. Columns are only ever added at its end.
func CSVHeader() []string {
	return []string{
		"timestamp", "region", "connected", "peak", "nat", "hp_ok", "hp_no", "uptime_h", "peer_id",
		"node", "status",
	}
}

// CSVRows is one row for each relay, those that did not answer too, in the order of
// Relays. What is unknown is an empty cell; uptime is hours with two decimals. No cell
// holds a control character or begins as a formula does.
func (s Snapshot) CSVRows() [][]string {
	rows := make([][]string, 0, len(s.Relays))
	at := s.GeneratedAt.UTC().Format(time.RFC3339)
	for _, r := range s.Relays {
		nat, uptime := "", ""
		if r.NATStatus != nil {
			nat = *r.NATStatus
		}
		if r.UptimeSecs != nil {
			uptime = strconv.FormatFloat(float64(*r.UptimeSecs)/3600, 'f', 2, 64)
		}
		rows = append(rows, []string{
			at, cell(r.Region), number(r.Connected), number(r.Peak), cell(nat),
			number(r.HolePunches.Succeeded), number(r.HolePunches.Failed), uptime, cell(r.PeerID),
			cell(r.Node), cell(string(r.Status)),
		})
	}
	return rows
}

func number(n *uint64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(*n, 10)
}

// cell is text that no spreadsheet takes for a formula: it is led by an apostrophe
// where it began like one.
func cell(text string) string {
	text = strings.TrimSpace(clean(text, 200))
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}
