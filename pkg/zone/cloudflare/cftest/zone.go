package cftest

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Plan decides what a zone may hold.
type Plan int

// The plans.
const (
	Free Plan = iota
	Pro
	Business
	Enterprise
)

// allowance is what a plan allows.
type allowance struct {
	records    int
	operations int // of a batch
	comment    int // characters
	tags       int
	minTTL     time.Duration
}

func (p Plan) allowance() allowance {
	switch p {
	case Free:
		return allowance{records: 200, operations: 200, comment: 100, minTTL: time.Minute}
	case Enterprise:
		return allowance{records: 1_000_000, operations: 3_500, comment: 500, tags: 20, minTTL: 30 * time.Second}
	default:
		return allowance{records: 3_500, operations: 3_500, comment: 500, tags: 20, minTTL: time.Minute}
	}
}

func (p Plan) String() string {
	return [...]string{"free", "pro", "business", "enterprise"}[p]
}

// Limits on form that are the same for every plan.
const (
	maxTTL       = 24 * time.Hour
	autoTTL      = 5 * time.Minute // what the TTL 1 means
	maxContent   = 8192            // characters of the records of one name and type
	maxRecord    = 4096            // bytes of one record on the wire
	maxName      = 253
	maxString    = 255 // bytes of one character-string
	recordsPage  = 100
	zonesPage    = 20
	maxZonesPage = 50
)

// Zone is one zone of a cloud.
type Zone struct {
	ID   string // 32 hexadecimal digits; "": some
	Name string
	Plan Plan
	// Quota is how many records the zone may hold. 0 is what the plan allows; negative is
	// that, too, counted for the account: the usage shows no quota.
	Quota   int
	Pending bool // the registrar does not name the name servers yet
}

type zone struct {
	Zone
	allowance
	created time.Time
	records map[string]*record
}

// zoneName is what the description lets a zone be called.
var zoneName = regexp.MustCompile(`^([a-z0-9][-a-z0-9]*\.)+[-a-z0-9]{2,20}$`)

// addZone makes a zone. The same name twice is possible there: one of them is pending.
func (c *Cloud) addZone(z Zone) {
	if z.ID == "" {
		z.ID = c.newID()
	}
	made := &zone{Zone: z, allowance: z.Plan.allowance(), created: c.cfg.Now(), records: map[string]*record{}}
	if z.Quota > 0 {
		made.allowance.records = z.Quota
	}
	c.zones = append(c.zones, made)
}

// ZoneID is the ID of a zone, "" if the cloud has none of that name.
func (c *Cloud) ZoneID(name string) string {
	if z := c.zone(name); z != nil {
		return z.ID
	}
	return ""
}

// zone finds one by its name or its ID. Zones do not come and go.
func (c *Cloud) zone(name string) *zone {
	for _, z := range c.zones {
		if z.Name == name || z.ID == name {
			return z
		}
	}
	return nil
}

// serves reports whether the name servers answer for a zone. A pending one is served, too,
// but beside an active one of the same name.
func (c *Cloud) serves(z *zone) bool {
	return !z.Pending || !slices.ContainsFunc(c.zones, func(other *zone) bool { return other.Name == z.Name && !other.Pending })
}

func (z *zone) status() string {
	if z.Pending {
		return "pending"
	}
	return "active"
}

// zoneBody is a zone as it is shown. Nothing of it is known but name, ID, status and plan.
func (c *Cloud) zoneBody(z *zone) map[string]any {
	hosts := []string{}
	for _, s := range c.servers {
		if c.cfg.ShowAddrs && s.addr != "" {
			hosts = append(hosts, s.addr)
		} else {
			hosts = append(hosts, s.host)
		}
	}
	account := map[string]any{"id": hash("account"), "name": "cftest"}
	b := map[string]any{
		"id": z.ID, "name": z.Name, "status": z.status(), "paused": false, "type": "full",
		"development_mode": 0, "name_servers": hosts,
		"original_name_servers": nil, "original_registrar": nil, "original_dnshost": nil,
		"created_on": stamp(z.created), "modified_on": stamp(z.created), "activated_on": nil,
		"owner": account, "account": account, "meta": map[string]any{"step": 2, "dns_only": true},
		"plan": map[string]any{"id": hash("plan", z.Plan.String()), "name": z.Plan.String() + " website", "legacy_id": z.Plan.String()},
	}
	if !z.Pending {
		b["activated_on"] = stamp(z.created)
	}
	return b
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// listZones shows the zones that the token may read. A token of single zones has to name
// one: without, it is refused.
func listZones(c *Cloud, q *call) answer {
	name := strings.ToLower(q.query.Get("name"))
	if !q.token.somewhere(ZoneRead) || name == "" && !q.token.everywhere(ZoneRead) {
		return refuse(http.StatusForbidden, codeUnauthorised, "Unauthorized to access requested resource").answer()
	}
	var found []*zone
	for _, z := range c.zones {
		if q.token.may(ZoneRead, z) && matchName(z.Name, name) && matches(z.status(), q.query.Get("status")) {
			found = append(found, z)
		}
	}
	if q.query.Get("order") != "" {
		slices.SortStableFunc(found, func(a, b *zone) int {
			if q.query.Get("order") == "status" {
				return cmp.Compare(a.status(), b.status())
			}
			return cmp.Compare(a.Name, b.Name)
		})
	}
	if q.query.Get("direction") == "desc" {
		slices.Reverse(found)
	}
	return page(q, min(q.number("per_page", zonesPage), maxZonesPage), found, func(z *zone) any { return c.zoneBody(z) })
}

func matches(have, want string) bool { return want == "" || have == want }

// matchName is the filter of zones by name, with its operators.
func matchName(have, want string) bool {
	operator, value, has := strings.Cut(want, ":")
	if !has {
		operator, value = "equal", want
	}
	switch operator {
	case "equal":
		return matches(have, value)
	case "not_equal":
		return have != value
	case "starts_with", "starts_with_case_sensitive":
		return strings.HasPrefix(have, value)
	case "ends_with", "ends_with_case_sensitive":
		return strings.HasSuffix(have, value)
	default:
		return strings.Contains(have, value)
	}
}

func getZone(c *Cloud, q *call) answer { return ok(c.zoneBody(q.zone)) }

// getUsage counts the records of a zone.
func getUsage(_ *Cloud, q *call) answer {
	var quota *int
	if q.zone.Quota >= 0 {
		quota = &q.zone.allowance.records
	}
	return ok(map[string]any{"record_usage": len(q.zone.records), "record_quota": quota})
}
