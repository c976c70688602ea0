// Package apitest holds a simulated HTTP API to the description that its provider
// published: every request that clients send, and every answer that the simulation gives.
// A finding says where and why, and never the value, which may be a secret. Only
// simulations import it.
package apitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Description is an OpenAPI document. It is safe for concurrent use, as long as nobody
// changes the document.
type Description struct{ Doc *openapi3.T }

// Read reads a description that is embedded in the program, and panics if it is none.
// Which host it is of is forgotten: only paths are compared.
func Read(text []byte) *Description {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		panic(fmt.Sprintf("apitest: the embedded description: %v", err))
	}
	doc.Servers = nil
	return &Description{Doc: doc}
}

// Operation finds what is published of a method on a path template, and panics if nothing
// is: the simulation serves what its provider does not.
func (d *Description) Operation(method, path string) *routers.Route {
	item := d.Doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		panic(fmt.Sprintf("apitest: %s %s is served and is not in the description", method, path))
	}
	return &routers.Route{Spec: d.Doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
}

// Exchange is a request of a client, whose body was read.
type Exchange struct {
	Request *http.Request
	Body    []byte
	Path    map[string]string // parameters in the path
	Query   url.Values
	Route   *routers.Route
}

// input is the request with a body. It stays as the client sent it: defaults that are
// filled in would hide what is missing.
func (e Exchange) input(body []byte) *openapi3filter.RequestValidationInput {
	r := e.Request.Clone(e.Request.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: e.Path, QueryParams: e.Query, Route: e.Route, Options: options(),
	}
}

func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		SkipSettingDefaults: true,
		AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc, // simulations check tokens themselves
	}
}

// CheckRequest says how the request differs from what is published, nil if it does not.
func (e Exchange) CheckRequest() error {
	return plain(openapi3filter.ValidateRequest(e.Request.Context(), e.input(e.Body)))
}

// CheckAnswer does so for an answer.
func (e Exchange) CheckAnswer(ctx context.Context, status int, h http.Header, body []byte) error {
	in := &openapi3filter.ResponseValidationInput{RequestValidationInput: e.input(e.Body), Status: status, Header: h, Options: options()}
	return plain(openapi3filter.ValidateResponse(ctx, in.SetBodyBytes(body)))
}

// plain keeps where and why of a finding.
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
