package cftest

import (
	"bytes"
	"context"
	_ "embed" // the published description
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

//go:embed testdata/openapi.json
var openapi []byte

// published is Cloudflare's description of what the cloud serves, read once: it is the same
// for every cloud.
var published = sync.OnceValue(func() *apitest.Description {
	d := apitest.Read(openapi)
	discriminate(d.Doc.Components.Schemas["dns-records_dns-record-post"].Value)
	return d
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

// exchange is the request as the description is asked about it.
func (q *call) exchange() apitest.Exchange {
	return apitest.Exchange{Request: q.r, Body: q.body, Path: q.params, Query: q.query, Route: q.route.published}
}

// conforms checks a request, and that its parameters are known: the published description
// lets unknown ones pass, and an unknown filter finds everything.
func conforms(q *call) error {
	for name := range q.query {
		if !slices.ContainsFunc(q.route.published.Operation.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == name }) {
			return fmt.Errorf("%q: no such parameter", name)
		}
	}
	return q.exchange().CheckRequest()
}

// answerConforms checks what the cloud is about to say. A record without a comment has a
// null there, and so may have the lists of a batch; what is published does not know that.
func answerConforms(ctx context.Context, q *call, status int, h http.Header, body []byte) error {
	body = bytes.ReplaceAll(body, []byte(`"comment":null`), []byte(`"comment":""`))
	for _, list := range []string{"deletes", "patches", "puts", "posts"} {
		body = bytes.ReplaceAll(body, []byte(`"`+list+`":null`), []byte(`"`+list+`":[]`))
	}
	return q.exchange().CheckAnswer(ctx, status, h, body)
}
