package cftest

import (
	"bytes"
	"context"
	_ "embed" // the published description
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed testdata/openapi.json
var openapi []byte

// contract is Cloudflare's published description of what the cloud serves.
type contract struct{ doc *openapi3.T }

// published reads the embedded description once: it is the same for every cloud.
var published = sync.OnceValue(func() *contract {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		panic(fmt.Sprintf("cftest: embedded openapi.json: %v", err))
	}
	doc.Servers = nil // any host: only paths are compared
	discriminate(doc.Components.Schemas["dns-records_dns-record-post"].Value)
	return &contract{doc: doc}
})

// discriminate has the type of a record choose its description, which is what the twenty
// alternatives come to: without, every record is held against every one of them.
func discriminate(record *openapi3.Schema) {
	mapping := map[string]openapi3.MappingRef{}
	for _, alternative := range record.OneOf {
		for _, part := range append(openapi3.SchemaRefs{alternative}, alternative.Value.AllOf...) {
			if kind := part.Value.Properties["type"]; kind != nil {
				name, _ := kind.Value.Enum[0].(string)
				mapping[name] = openapi3.MappingRef{Ref: alternative.Ref}
			}
		}
	}
	if len(mapping) != len(record.OneOf) {
		panic("cftest: embedded openapi.json: a record without a type")
	}
	record.Discriminator = &openapi3.Discriminator{PropertyName: "type", Mapping: mapping}
}

// operation finds what is published of a method on a path template.
func (k *contract) operation(method, path string) *routers.Route {
	item := k.doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		panic(fmt.Sprintf("cftest: %s %s is served and not in openapi.json", method, path))
	}
	return &routers.Route{Spec: k.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
}

// options leave the request as the client sent it: defaults that are filled in would hide
// a TTL that is missing.
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

// conforms checks a request, and that its parameters are known: the published description
// lets unknown ones pass, and an unknown filter finds everything.
func conforms(q *call) error {
	for name := range q.query {
		if !slices.ContainsFunc(q.route.published.Operation.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == name }) {
			return fmt.Errorf("%q: no such parameter", name)
		}
	}
	return plain(openapi3filter.ValidateRequest(q.r.Context(), q.validation(q.body)))
}

// answerConforms checks what the cloud is about to say. A record without a comment has a
// null there, and so may have the lists of a batch; what is published does not know that.
func answerConforms(ctx context.Context, q *call, status int, h http.Header, body []byte) error {
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: q.validation(q.body), Status: status, Header: h, Options: options(),
	}
	body = bytes.ReplaceAll(body, []byte(`"comment":null`), []byte(`"comment":""`))
	for _, list := range []string{"deletes", "patches", "puts", "posts"} {
		body = bytes.ReplaceAll(body, []byte(`"`+list+`":null`), []byte(`"`+list+`":[]`))
	}
	return plain(openapi3filter.ValidateResponse(ctx, in.SetBodyBytes(body)))
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
