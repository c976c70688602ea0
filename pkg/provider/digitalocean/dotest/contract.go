package dotest

import (
	"bytes"
	"context"
	_ "embed" // the published description
	"encoding/json"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

//go:embed testdata/openapi.json
var openapi []byte

// published is DigitalOcean's description of what the cloud serves, read once: it is the
// same for every cloud.
var published = sync.OnceValue(func() *apitest.Description { return apitest.Read(openapi) })

// scopes are what a token must have for an operation.
func scopes(op *openapi3.Operation) []string {
	var all []string
	if op.Security != nil {
		for _, requirement := range *op.Security {
			all = append(all, requirement["bearer_auth"]...)
		}
	}
	return all
}

// conforms checks a request. What official clients send although it is not published is
// let through: ssh_keys null, and icmp rules without ports.
func conforms(q *call) error { return q.exchange(lenient(q.body)).CheckRequest() }

// exchange is the request, with this body, as the description is asked about it.
func (q *call) exchange(body []byte) apitest.Exchange {
	return apitest.Exchange{Request: q.r, Body: body, Path: q.params, Query: q.query, Route: q.route.published}
}

// answerConforms checks what the cloud is about to say. DigitalOcean says null where no
// backup is due; what is published forbids it by the way its parts are put together.
func answerConforms(ctx context.Context, q *call, status int, h http.Header, body []byte) error {
	body = bytes.ReplaceAll(body, []byte(`"next_backup_window":null`), []byte(`"next_backup_window":{}`))
	return q.exchange(q.body).CheckAnswer(ctx, status, h, body)
}

// lenient is the body as it would be if official clients kept to what is published.
func lenient(body []byte) []byte {
	var form map[string]any
	if json.Unmarshal(body, &form) != nil || form == nil {
		return body
	}
	for _, list := range []string{"ssh_keys", "tags"} {
		if value, there := form[list]; there && value == nil {
			delete(form, list)
		}
	}
	for _, direction := range []string{"inbound_rules", "outbound_rules"} {
		rules, _ := form[direction].([]any)
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			if rule["protocol"] == "icmp" && rule["ports"] == nil {
				rule["ports"] = "0"
			}
		}
	}
	mended, err := json.Marshal(form)
	if err != nil {
		return body
	}
	return mended
}
