package cftest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
)

// answer is what a call came to.
type answer struct {
	status int
	header http.Header
	body   any    // JSON, unless text is something
	text   string // of an export
}

// envelope is around every JSON answer.
type envelope struct {
	Result     any         `json:"result"`
	ResultInfo *resultInfo `json:"result_info,omitempty"`
	Success    bool        `json:"success"`
	Errors     []problem   `json:"errors"`
	Messages   []problem   `json:"messages"`
}

// problem is one error or message.
type problem struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Chain   []problem `json:"error_chain,omitempty"`
}

func ok(result any) answer {
	return answer{status: http.StatusOK, body: envelope{Result: result, Success: true, Errors: []problem{}, Messages: []problem{}}}
}

// refusal is why something is not done. It is an error only so that it can be returned.
type refusal struct {
	status   int
	problems []problem
}

func (r *refusal) Error() string { return r.problems[0].Message }

func (r *refusal) answer() answer {
	return answer{status: r.status, body: envelope{Errors: r.problems, Messages: []problem{}}}
}

func refuse(status, code int, format string, args ...any) *refusal {
	return &refusal{status: status, problems: []problem{{Code: code, Message: fmt.Sprintf(format, args...)}}}
}

// Codes of refusals, as far as they are known.
const (
	codeInvalidToken    = 1000 // of the token check alone
	codeValidation      = 1004 // the chain says why
	codeHeaders         = 6003
	codeHeaderFormat    = 6111
	codeNoRoute         = 7003
	codeNoRouteForURI   = 7000
	codeContent         = 9005
	codeTTL             = 9021
	codeNoHeader        = 9106
	codeUnauthorised    = 9109
	codeBody            = 9207
	codeTags            = 9300
	codeAuthentication  = 10000
	codeRate            = 10300
	codeNoRecord        = 81044
	codeQuota           = 81045
	codeHostTaken       = 81053
	codeNSTaken         = 81056
	codeIdentical       = 81058
	codeInternal        = 10001 // a choice of this package
	codeComment         = 9301  // a choice of this package
	codeName            = 9302  // a choice of this package
	codeRecordSetLength = 9303  // a choice of this package
	codeBatchLength     = 9304  // a choice of this package
	codeType            = 9305  // a choice of this package: a type that is not simulated
	codeOther           = 9306  // a choice of this package: whatever the description forbids
)

// invalid is a refusal of which only the chain says why.
func invalid(code int, format string, args ...any) *refusal {
	r := refuse(http.StatusBadRequest, codeValidation, "DNS Validation Error")
	r.problems[0].Chain = []problem{{Code: code, Message: fmt.Sprintf(format, args...)}}
	return r
}

func noRoute(path string) *refusal {
	r := refuse(http.StatusNotFound, codeNoRoute, "Could not route to %s, perhaps your object identifier is invalid?", path)
	r.problems = append(r.problems, problem{Code: codeNoRouteForURI, Message: "No route for that URI"})
	return r
}

func unauthenticated() *refusal {
	return refuse(http.StatusForbidden, codeAuthentication, "Authentication error")
}

func noRecord() *refusal { return refuse(http.StatusNotFound, codeNoRecord, "Record does not exist.") }

// hash is an ID of 32 hexadecimal digits that follows from the words.
func hash(words ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", words))
	return hex.EncodeToString(sum[:16])
}

// newID is one that this cloud did not give away yet.
func (c *Cloud) newID() string {
	c.ids++
	return hash("id", fmt.Sprint(c.ids))
}
