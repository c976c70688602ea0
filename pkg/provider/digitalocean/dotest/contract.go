package dotest

import (
	"bytes"
	"context"
	_ "embed" // the published description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed testdata/openapi.json
var openapi []byte

// contract is DigitalOcean's published description of what the cloud serves.
type contract struct{ doc *openapi3.T }

// published reads the embedded description once: it is the same for every cloud.
var published = sync.OnceValue(func() *contract {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		panic(fmt.Sprintf("dotest: embedded openapi.json: %v", err))
	}
	doc.Servers = nil // any host: only paths are compared
	return &contract{doc: doc}
})

// operation finds what is published of a method on a path template.
func (k *contract) operation(method, path string) *routers.Route {
	item := k.doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		panic(fmt.Sprintf("dotest: %s %s is served and not in openapi.json", method, path))
	}
	return &routers.Route{Spec: k.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
}

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

// options leave the request as the client sent it.
func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		SkipSettingDefaults: true,
		AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc, // tokens are checked before
	}
}

func (q *call) validation(body []byte) *openapi3filter.RequestValidationInput {
	r := q.r.Clone(q.r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: q.params, QueryParams: q.query, Route: q.route.published, Options: options(),
	}
}

// conforms checks a request. What official clients send although it is not published is
// let through: ssh_keys null, and icmp rules without ports.
func conforms(q *call) error {
	return plain(openapi3filter.ValidateRequest(q.r.Context(), q.validation(lenient(q.body))))
}

// answerConforms checks what the cloud is about to say. DigitalOcean says null where no
// backup is due; what is published forbids it by the way its parts are put together.
func answerConforms(ctx context.Context, q *call, status int, h http.Header, body []byte) error {
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: q.validation(q.body), Status: status, Header: h, Options: options(),
	}
	body = bytes.ReplaceAll(body, []byte(`"next_backup_window":null`), []byte(`"next_backup_window":{}`))
	return plain(openapi3filter.ValidateResponse(ctx, in.SetBodyBytes(body)))
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

// plain keeps where and why of a finding and drops the value: it may be a secret.
func plain(err error) error {
	if err == nil {
		return nil
	}
	var found []string
	explain(err, &found)
	if len(found) == 0 {
		return errors.New(firstLine(err.Error()))
	}
	return errors.New(strings.Join(found, "; "))
}

func explain(err error, found *[]string) {
	var schema *openapi3.SchemaError
	var many openapi3.MultiError
	var request *openapi3filter.RequestError
	switch {
	case errors.As(err, &request) && request.Parameter != nil:
		why := request.Reason
		if errors.As(request.Err, &schema) {
			why = schema.Reason
		}
		*found = append(*found, request.Parameter.Name+": "+firstLine(why))
	case errors.As(err, &schema):
		if schema.Origin != nil {
			explain(schema.Origin, found)
			return
		}
		*found = append(*found, "/"+strings.Join(schema.JSONPointer(), "/")+": "+firstLine(schema.Reason))
	case errors.As(err, &many):
		for _, e := range many {
			explain(e, found)
		}
	case errors.As(err, &request):
		*found = append(*found, firstLine(request.Reason))
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
