package dotest

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/getkin/kin-openapi/routers"
)

// handler does what one operation does, with the cloud's state locked.
type handler func(c *Cloud, q *call) answer

// route is one operation.
type route struct {
	method    string
	path      string // template
	params    []string
	handler   handler        // nil: nothing is served here
	published *routers.Route // nil likewise
	scopes    []string
}

// operations lists what the cloud serves.
func operations() []route {
	return []route{
		{method: "GET", path: "/v2/account", handler: getAccount},
		{method: "GET", path: "/v2/account/keys", handler: listKeys},
		{method: "POST", path: "/v2/account/keys", handler: createKey},
		{method: "GET", path: "/v2/account/keys/{ssh_key_identifier}", handler: getKey},
		{method: "PUT", path: "/v2/account/keys/{ssh_key_identifier}", handler: renameKey},
		{method: "DELETE", path: "/v2/account/keys/{ssh_key_identifier}", handler: deleteKey},

		{method: "GET", path: "/v2/actions", handler: listActions},
		{method: "GET", path: "/v2/actions/{action_id}", handler: getAction},

		{method: "GET", path: "/v2/droplets", handler: listDroplets},
		{method: "POST", path: "/v2/droplets", handler: createDroplets},
		{method: "DELETE", path: "/v2/droplets", handler: deleteDropletsByTag},
		{method: "GET", path: "/v2/droplets/{droplet_id}", handler: getDroplet},
		{method: "DELETE", path: "/v2/droplets/{droplet_id}", handler: deleteDroplet},
		{method: "GET", path: "/v2/droplets/{droplet_id}/actions", handler: listDropletActions},
		{method: "POST", path: "/v2/droplets/{droplet_id}/actions", handler: act},
		{method: "GET", path: "/v2/droplets/{droplet_id}/actions/{action_id}", handler: getAction},
		{method: "GET", path: "/v2/droplets/{droplet_id}/firewalls", handler: listDropletFirewalls},

		{method: "GET", path: "/v2/firewalls", handler: listFirewalls},
		{method: "POST", path: "/v2/firewalls", handler: createFirewall},
		{method: "GET", path: "/v2/firewalls/{firewall_id}", handler: getFirewall},
		{method: "PUT", path: "/v2/firewalls/{firewall_id}", handler: replaceFirewall},
		{method: "DELETE", path: "/v2/firewalls/{firewall_id}", handler: deleteFirewall},
		{method: "POST", path: "/v2/firewalls/{firewall_id}/droplets", handler: addFirewallDroplets},
		{method: "DELETE", path: "/v2/firewalls/{firewall_id}/droplets", handler: removeFirewallDroplets},
		{method: "POST", path: "/v2/firewalls/{firewall_id}/tags", handler: addFirewallTags},
		{method: "DELETE", path: "/v2/firewalls/{firewall_id}/tags", handler: removeFirewallTags},
		{method: "POST", path: "/v2/firewalls/{firewall_id}/rules", handler: addFirewallRules},
		{method: "DELETE", path: "/v2/firewalls/{firewall_id}/rules", handler: removeFirewallRules},

		{method: "GET", path: "/v2/images", handler: listImages},
		{method: "GET", path: "/v2/images/{image_id}", handler: getImage},
		{method: "GET", path: "/v2/regions", handler: listRegions},
		{method: "GET", path: "/v2/sizes", handler: listSizes},

		{method: "GET", path: "/v2/tags", handler: listTags},
		{method: "POST", path: "/v2/tags", handler: createTag},
		{method: "GET", path: "/v2/tags/{tag_id}", handler: getTag},
		{method: "DELETE", path: "/v2/tags/{tag_id}", handler: deleteTag},
		{method: "POST", path: "/v2/tags/{tag_id}/resources", handler: tagResources},
		{method: "DELETE", path: "/v2/tags/{tag_id}/resources", handler: untagResources},
	}
}

// variables are the parameters of a path template.
var variables = regexp.MustCompile(`\{([a-z_]+)\}`)

func (c *Cloud) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range operations() {
		rt.published = c.contract.Operation(rt.method, rt.path)
		rt.scopes = scopes(rt.published.Operation)
		for _, found := range variables.FindAllStringSubmatch(rt.path, -1) {
			rt.params = append(rt.params, found[1])
		}
		mux.Handle(rt.method+" "+rt.path, c.handle(&rt))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.handle(&route{method: r.Method, path: r.URL.Path}).ServeHTTP(w, r)
	})
	return mux
}

// id is a numeric parameter of the path; the published description lets no other through.
func (q *call) id(name string) int {
	n, err := strconv.Atoi(q.params[name])
	if err != nil {
		return 0
	}
	return n
}
