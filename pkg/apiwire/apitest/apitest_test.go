package apitest_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

const description = `{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {"/box/{id}": {"put": {
  "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
  "requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 5}}}}}},
  "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object", "required": ["id"]}}}}}}}}}`

func TestExchange_FindingsSayWhereAndWhyAndNeverTheValue(t *testing.T) {
	d := apitest.Read([]byte(description))
	of := func(body string) apitest.Exchange {
		r := httptest.NewRequest("PUT", "/box/1", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return apitest.Exchange{Request: r, Body: []byte(body), Path: map[string]string{"id": "1"}, Route: d.Operation("PUT", "/box/{id}")}
	}
	good := of(`{"name": "bob"}`)
	if err := good.CheckRequest(); err != nil {
		t.Errorf("a request as it is described: got %v, want none", err)
	}
	if err := of(`{"name": "a-secret"}`).CheckRequest(); err == nil || !strings.Contains(err.Error(), "/name") || strings.Contains(err.Error(), "a-secret") {
		t.Errorf("a name that is too long: got %v, want where and why without the value", err)
	}
	header := httptest.NewRecorder().Header()
	header.Set("Content-Type", "application/json")
	if err := good.CheckAnswer(t.Context(), 200, header, []byte(`{"id": 1}`)); err != nil {
		t.Errorf("an answer as it is described: got %v, want none", err)
	}
	if err := good.CheckAnswer(t.Context(), 200, header, []byte(`{}`)); err == nil {
		t.Error("an answer without an id: got none, want an error")
	}
}

func TestDescription_WhatIsNotPublishedIsNotServed(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an operation that nobody published: got one, want a panic")
		}
	}()
	apitest.Read([]byte(description)).Operation("DELETE", "/box/{id}")
}

func TestStep_HitsTheRequestsThatItNames(t *testing.T) {
	for _, c := range []struct {
		step apitest.Step
		hits string // of four requests in turn: PUT /box/1, GET /box/1, PUT /box/2, PUT /crate
	}{
		{apitest.Step{}, "x..."},
		{apitest.Step{Times: -1}, "xxxx"},
		{apitest.Step{Method: "PUT", Nth: 2}, "..x."},
		{apitest.Step{Path: "/box/{id}", Nth: 2, Times: 2}, ".xx."},
		{apitest.Step{Path: "/box/2"}, "..x."},
		{apitest.Step{Path: "[", Times: -1}, "...."},
	} {
		got, n := "", 0
		for _, r := range [][3]string{{"PUT", "/box/{id}", "/box/1"}, {"GET", "/box/{id}", "/box/1"}, {"PUT", "/box/{id}", "/box/2"}, {"PUT", "/crate", "/crate"}} {
			hit := false
			if c.step.Matches(r[0], r[1], r[2]) {
				n++
				hit = c.step.Hits(n)
			}
			got += map[bool]string{true: "x", false: "."}[hit]
		}
		if got != c.hits {
			t.Errorf("%+v: got %s, want %s", c.step, got, c.hits)
		}
	}
}
