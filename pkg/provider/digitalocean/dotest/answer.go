package dotest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
)

// answer is what a call came to; a nil body is none.
type answer struct {
	status int
	header http.Header
	body   any
}

type errorBody struct {
	ID        string `json:"id"`
	Message   string `json:"message"`
	RequestID string `json:"request_id,omitempty"`
}

func ok(body any) answer       { return answer{status: http.StatusOK, body: body} }
func created(body any) answer  { return answer{status: http.StatusCreated, body: body} }
func accepted(body any) answer { return answer{status: http.StatusAccepted, body: body} }
func noContent() answer        { return answer{status: http.StatusNoContent} }

func refuse(status int, id, message string) answer {
	return answer{status: status, body: errorBody{ID: id, Message: message}}
}

func notFound() answer {
	return refuse(http.StatusNotFound, "not_found", "The resource you were accessing could not be found.")
}

// unprocessable refuses for what the account holds or the catalogue lacks.
func unprocessable(format string, args ...any) answer {
	return refuse(http.StatusUnprocessableEntity, "unprocessable_entity", fmt.Sprintf(format, args...))
}

// misformed refuses what a documented limit forbids whatever the account holds: the
// client should have known, so it counts as a violation.
func (c *Cloud) misformed(q *call, format string, args ...any) answer {
	what := fmt.Sprintf(format, args...)
	c.violation(fmt.Sprintf("request %s %s: %s", q.route.method, q.r.URL.Path, what))
	return unprocessable("%s", what)
}

// hash is a UUID (RFC 9562, version 4 in form) that follows from the words.
func hash(words ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", words))
	sum[6] = sum[6]&0x0f | 0x40
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// uuid is one that this cloud did not give away yet.
func (c *Cloud) uuid() string {
	c.ids.uuid++
	return hash("uuid", fmt.Sprint(c.ids.uuid))
}
