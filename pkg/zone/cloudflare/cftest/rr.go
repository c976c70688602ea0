package cftest

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// resourceRecord is a record as it is in DNS.
func resourceRecord(r Record) (dns.RR, error) {
	ttl := uint32(r.served() / time.Second)
	if r.Type == "TXT" {
		all, err := characterStrings(r.Content)
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i] = presentation(all[i])
		}
		return &dns.TXT{Hdr: dns.RR_Header{Name: r.Name + ".", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}, Txt: all}, nil
	}
	content := r.Content
	switch r.Type {
	case "MX":
		content = fmt.Sprintf("%d %s.", r.Priority, strings.TrimSuffix(content, "."))
	case "CNAME", "NS":
		content = strings.TrimSuffix(content, ".") + "."
	}
	return dns.NewRR(fmt.Sprintf("%s. %d IN %s %s", r.Name, ttl, r.Type, content))
}
