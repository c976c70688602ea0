package cftest

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/routers"
)

// handler does what one operation does, with the cloud's state locked.
type handler func(c *Cloud, q *call) answer

// route is one operation.
type route struct {
	method    string
	path      string // template without the base path
	params    []string
	handler   handler        // nil: nothing is served here
	published *routers.Route // nil likewise
	needs     Permission     // in the zone of the path
}

// operations lists what the cloud serves.
func operations() []route {
	const records, record = "/zones/{zone_id}/dns_records", "/zones/{zone_id}/dns_records/{dns_record_id}"
	return []route{
		{method: "GET", path: "/user/tokens/verify", handler: verifyToken},
		{method: "GET", path: "/zones", handler: listZones},
		{method: "GET", path: "/zones/{zone_id}", handler: getZone, needs: ZoneRead},

		{method: "GET", path: records, handler: listRecords, needs: DNSRead},
		{method: "POST", path: records, handler: createRecord, needs: DNSEdit},
		{method: "GET", path: record, handler: getRecord, needs: DNSRead},
		{method: "PATCH", path: record, handler: patchRecord, needs: DNSEdit},
		{method: "PUT", path: record, handler: putRecord, needs: DNSEdit},
		{method: "DELETE", path: record, handler: deleteRecord, needs: DNSEdit},

		{method: "POST", path: records + "/batch", handler: runBatch, needs: DNSEdit},
		{method: "GET", path: records + "/usage", handler: getUsage, needs: DNSRead},
		{method: "GET", path: records + "/export", handler: exportZone, needs: DNSRead},
	}
}

// variables are the parameters of a path template.
var variables = regexp.MustCompile(`\{([a-z_]+)\}`)

func (c *Cloud) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range operations() {
		rt.published = c.contract.Operation(rt.method, rt.path)
		for _, found := range variables.FindAllStringSubmatch(rt.path, -1) {
			rt.params = append(rt.params, found[1])
		}
		mux.Handle(rt.method+" "+BasePath+rt.path, c.handle(&rt))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, BasePath)
		c.handle(&route{method: r.Method, path: path}).ServeHTTP(w, r)
	})
	return mux
}

// identifier is what IDs look like.
var identifier = regexp.MustCompile(`^[0-9a-f]{32}$`)

// enter finds the zone of a path, and refuses who may not go there: a wrong zone looks
// like a wrong permission.
func (c *Cloud) enter(q *call) *refusal {
	for _, name := range q.route.params {
		if !identifier.MatchString(q.params[name]) {
			return noRoute(q.r.URL.Path)
		}
	}
	id, has := q.params["zone_id"]
	if !has {
		return nil
	}
	for _, z := range c.zones {
		if z.ID == id && q.token.may(q.route.needs, z) {
			q.zone = z
			return nil
		}
	}
	if q.route.needs == ZoneRead {
		return refuse(http.StatusForbidden, codeUnauthorised, "Unauthorized to access requested resource")
	}
	return unauthenticated()
}
