package cftest

import (
	"fmt"
	"net/http"
	"strings"
)

// exportZone answers with the zone in the form of a zone file.
func exportZone(c *Cloud, q *call) answer {
	var b strings.Builder
	z := q.zone
	fmt.Fprintf(&b, ";; Domain: %s.\n;; Exported: %s\n$ORIGIN %[1]s.\n", z.Name, q.now.UTC().Format("2006-01-02 15:04:05"))
	for _, s := range c.servers {
		fmt.Fprintf(&b, "%s.\t86400\tIN\tNS\t%s.\n", z.Name, s.host)
	}
	for _, r := range z.sorted() {
		rr, err := resourceRecord(r.Record)
		if err != nil {
			c.violation(fmt.Sprintf("record %s cannot be exported: %v", r.ID, err))
			continue
		}
		b.WriteString(rr.String())
		if r.Comment != "" {
			b.WriteString(" ; " + r.Comment)
		}
		b.WriteByte('\n')
	}
	return answer{status: http.StatusOK, text: b.String()}
}
