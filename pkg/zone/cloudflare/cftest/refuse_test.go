package cftest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare/cftest"
)

func TestRecord_RefusedWithTheCodeThatIsKnown(t *testing.T) {
	typed := func(kind, name, content string) string {
		return fmt.Sprintf(`{"type":"%s","name":"%s","content":"%s","ttl":300}`, kind, name, content)
	}
	comment := func(n int) string { return `,"comment":"` + strings.Repeat("ü", n) + `"` }
	ttl := func(n int) string { return fmt.Sprintf(`{"type":"TXT","name":"x","content":"x","ttl":%d}`, n) }
	free, paid, enterprise := cftest.Zone{}, cftest.Zone{Plan: cftest.Pro}, cftest.Zone{Plan: cftest.Enterprise}
	for _, c := range []struct {
		what        string
		zone        cftest.Zone
		body        string
		code, chain int // 0: it is accepted
	}{
		{"TTL 30", free, ttl(30), 1004, 9021},
		{"TTL 59", paid, ttl(59), 1004, 9021},
		{"TTL 60", free, ttl(60), 0, 0},
		{"TTL 30 of an enterprise", enterprise, ttl(30), 0, 0},
		{"TTL of a day", free, ttl(86_400), 0, 0},
		{"TTL auto", free, ttl(1), 0, 0},
		{"comment of 100", free, txt("x", "x", comment(100)), 0, 0},
		{"comment of 101", free, txt("x", "x", comment(101)), 1004, 9301},
		{"comment of 500, paid", paid, txt("x", "x", comment(500)), 0, 0},
		{"comment of 501, paid", paid, txt("x", "x", comment(501)), 1004, 9301},
		{"comment of two lines", free, txt("x", "x", `,"comment":"a\nb"`), 1004, 9301},
		{"tag", free, txt("x", "x", `,"tags":["a:b"]`), 1004, 9300},
		{"tag, paid", paid, txt("x", "x", `,"tags":["a:b"]`), 0, 0},
		{"no address", free, typed("A", "x", "example.test"), 9005, 0},
		{"AAAA of IPv4", free, typed("AAAA", "x", "192.0.2.1"), 9005, 0},
		{"text between strings", free, txt("x", `"a" b "c"`, ""), 9005, 0},
		{"no text", free, txt("x", "", ""), 9005, 0},
		{"text of 5,000 bytes", free, txt("x", strings.Repeat("x", 5000), ""), 9005, 0},
		{"text of 4,000 bytes", free, txt("x", strings.Repeat("x", 4000), ""), 0, 0},
		{"name with a space", free, txt("a b", "x", ""), 1004, 9302},
		{"A beside a CNAME", free, typed("A", "alias", "192.0.2.1"), 81053, 0},
		{"CNAME beside a TXT", free, typed("CNAME", "taken", "other.test"), 81053, 0},
		{"TXT beside a CNAME", free, txt("alias", "x", ""), 81053, 0},
		{"NS beside a TXT", free, typed("NS", "taken", "ns.other.test"), 81056, 0},
		{"NS at the apex", free, typed("NS", "@", "ns.other.test"), 0, 0},
		{"twin", free, txt("taken", "text", ""), 81058, 0},
		{"twin with a comment", free, txt("taken", "text", `,"comment":"x"`), 81058, 0},
		{"twin in quotes", free, txt("taken", `"te" "xt"`, ""), 81058, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.zone.Name = cftest.DefaultZone
			s := serve(t, cftest.Config{Zones: []cftest.Zone{c.zone}})
			s.create(t, "taken", "text")
			s.want(t, "POST", "", typed("CNAME", "alias", "other.test"))
			r := s.do(t, "POST", "", c.body)
			if r.code() != c.code || r.chained() != c.chain || (r.status == 200) != (c.code == 0) {
				t.Errorf("got %d %s, want code %d and %d in its chain", r.status, r.raw, c.code, c.chain)
			}
			if n, want := len(s.Records(cftest.DefaultZone)), 2; c.code != 0 && n != want {
				t.Errorf("got %d records, want %d", n, want)
			}
		})
	}
}

func TestRecord_TwinsAreWhatTheConfigurationSays(t *testing.T) {
	s := serve(t, cftest.Config{DuplicateCode: 81057, QuotesDiffer: true})
	s.create(t, "a", "text")
	s.create(t, "a", `"text"`)
	if r := s.do(t, "POST", "", txt("a", "text", "")); r.code() != 81057 {
		t.Errorf("got %d %s, want 81057", r.status, r.raw)
	}
}

// TestQuota_OfAFreeZoneIs200Records asserts the numbers that the comments name.
func TestQuota_OfAFreeZoneIs200Records(t *testing.T) {
	s := serve(t, cftest.Config{})
	var posts []string
	for n := range 200 {
		posts = append(posts, txt(fmt.Sprintf("r%d", n), "x", ""))
	}
	s.want(t, "POST", "/batch", `{"posts":[`+strings.Join(posts, ",")+`]}`)
	if r := s.want(t, "GET", "/usage", ""); !strings.Contains(r.raw, `{"record_quota":200,"record_usage":200}`) {
		t.Errorf("got %s, want 200 of 200", r.raw)
	}
	if r := s.do(t, "POST", "", txt("one-more", "x", "")); r.code() != 81045 {
		t.Errorf("got %d %s, want 81045", r.status, r.raw)
	}
	first := s.Records(cftest.DefaultZone)[0].ID
	s.want(t, "POST", "/batch", `{"deletes":[{"id":"`+first+`"}],"posts":[`+txt("one-more", "x", "")+`]}`)
	if r := s.do(t, "POST", "/batch", `{"posts":[`+strings.Join(append(posts, posts[0]), ",")+`]}`); r.code() != 1004 || r.chained() != 9304 {
		t.Errorf("201 operations: got %d %s, want 1004 and 9304", r.status, r.raw)
	}
}

func TestQuota_OfAnAccountIsNotShown(t *testing.T) {
	s := serve(t, cftest.Config{Zones: []cftest.Zone{{Name: cftest.DefaultZone, Quota: -1}}})
	if r := s.want(t, "GET", "/usage", ""); !strings.Contains(r.raw, `"record_quota":null`) {
		t.Errorf("got %s, want no quota", r.raw)
	}
}

func TestContent_OfOneNameIsAtMost8192Characters(t *testing.T) {
	s := serve(t, cftest.Config{})
	value := func(n int) string { return fmt.Sprintf(`"%094d"`, n) } // 96 characters, as a relay's
	made := 0
	for ; made < 200; made++ {
		if r := s.do(t, "POST", "", txt("full", value(made), "")); r.code() == 1004 && r.chained() == 9303 {
			break
		}
	}
	if made != 85 {
		t.Errorf("got %d records of 96 characters, want 85", made)
	}
	s.create(t, "other", value(0)) // another name has room
	room := 8192 - 85*96
	if r := s.do(t, "POST", "", txt("full", strings.Repeat("x", room+1), "")); r.chained() != 9303 {
		t.Errorf("8,193 characters: got %d %s, want 9303", r.status, r.raw)
	}
	s.create(t, "full", strings.Repeat("x", room))
	id := s.Records(cftest.DefaultZone)[0].ID
	if r := s.do(t, "PATCH", "/"+id, `{"content":"`+strings.Repeat("x", 500)+`"}`); r.chained() != 9303 {
		t.Errorf("patch: got %d %s, want 9303", r.status, r.raw)
	}
}
