package dotest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxBody bounds a request: user_data of 64 KiB, escaped, and much more.
const maxBody = 2 << 20

// call is one request on its way.
type call struct {
	r      *http.Request
	route  *route
	params map[string]string // of the path, decoded
	query  url.Values
	body   []byte
	now    time.Time
	team   *team // nil until the token was found good
	fault  Fault
	ans    answer
}

// Around stands between a request and the cloud; see [Cloud.Around].
type Around func(n int, r *http.Request, commit func()) (answer bool)

// Around calls f for every request from now on, in the request's goroutine; nil ends it.
// n counts the cloud's requests from 1. commit performs the request and returns when its
// effect is there; no answer is sent before f returned. f says whether one is sent: if
// not, the connection is reset. Not to commit and to return true commits, too.
// A process that is killed at request n, after the effect: commit, end the client,
// return false.
func (c *Cloud) Around(f Around) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.around = f
}

// handle serves one route.
func (c *Cloud) handle(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, `{"id":"bad_request","message":"the body could not be read"}`, http.StatusRequestEntityTooLarge)
			return
		}
		q := &call{r: r, route: rt, query: r.URL.Query(), body: body, params: map[string]string{}}
		for _, name := range rt.params {
			q.params[name] = r.PathValue(name)
		}
		n, around := c.begin(q)
		commit := sync.OnceFunc(func() { c.commit(q) })
		if around != nil && !around(n, r, commit) {
			c.end(q, 0)
			cut(w)
			return
		}
		commit()
		c.deliver(w, q)
	})
}

// begin counts the request and picks the fault that hits it.
func (c *Cloud) begin(q *call) (int, Around) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	c.calls[q.route.method+" "+q.route.path]++
	q.fault = c.pick(q)
	return c.seen, c.around
}

// end remembers how the request ended.
func (c *Cloud) end(q *call, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, Request{
		Method: q.route.method, Template: q.route.path, Path: q.r.URL.Path, Query: q.r.URL.RawQuery, Status: status,
	})
	if len(c.requests) > requestsKept {
		c.requests = c.requests[1:]
	}
}

// commit brings the request's effect about, unless a fault comes before it.
func (c *Cloud) commit(q *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.now = c.cfg.Now()
	if a, instead := q.fault.instead(); instead {
		q.team = c.authenticate(q.r)
		q.ans = a
		return
	}
	q.ans = c.perform(q)
}

// perform does what the API does with a request.
func (c *Cloud) perform(q *call) answer {
	if c.stopped() {
		return refuse(http.StatusServiceUnavailable, "service_unavailable", "the cloud is closed")
	}
	if q.route.handler == nil {
		c.violation(fmt.Sprintf("request %s %s: not served by this cloud", q.r.Method, q.r.URL.Path))
		return notFound()
	}
	if q.team = c.authenticate(q.r); q.team == nil {
		return refuse(http.StatusUnauthorized, "unauthorized", "Unable to authenticate you")
	}
	if a, admitted := c.admit(q); !admitted {
		return a
	}
	if !q.team.may(q.route.scopes...) {
		return forbidden()
	}
	if q.team.locked() && q.route.method != http.MethodGet {
		return refuse(http.StatusForbidden, "forbidden", "Your account is locked. "+q.team.StatusMessage)
	}
	if err := conforms(q); err != nil {
		c.violation(fmt.Sprintf("request %s %s: %v", q.route.method, q.r.URL.Path, err))
		if len(q.body) > 0 && !json.Valid(q.body) {
			return refuse(http.StatusBadRequest, "bad_request", err.Error())
		}
		return unprocessable("%s", err)
	}
	c.settle(q.team, q.now)
	return q.route.handler(c, q)
}

// forbidden is the answer to a token without a scope. It does not name the scope.
func forbidden() answer {
	return refuse(http.StatusForbidden, "forbidden", "You are not authorized to perform this operation")
}

// deliver sends the answer, or what the fault makes of it.
func (c *Cloud) deliver(w http.ResponseWriter, q *call) {
	switch q.fault.How {
	case ResetBefore, ResetAfter:
		c.end(q, 0)
		cut(w)
		return
	case HangBefore, HangAfter:
		c.end(q, 0)
		select {
		case <-q.r.Context().Done():
		case <-c.stop:
		}
		cut(w)
		return
	case BadGatewayBefore, BadGatewayAfter:
		c.end(q, http.StatusBadGateway)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>\n") // the client may be gone
		return
	case ErrorAfter:
		q.ans = serverError()
	}
	status, body := c.encode(w.Header(), q)
	c.end(q, status)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// encode writes headers and body, and checks them against what is published.
func (c *Cloud) encode(h http.Header, q *call) (int, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := q.ans
	for name, values := range a.header {
		h[name] = values
	}
	c.rateHeaders(h, q.team, q.now)
	id := c.uuid()
	h.Set("X-Request-Id", id)
	h.Set("Content-Type", "application/json")
	if e, isError := a.body.(errorBody); isError {
		e.RequestID = id
		a.body = e
	}
	var body []byte
	if a.body != nil {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			c.violation(fmt.Sprintf("answer %s %s: %v", q.route.method, q.r.URL.Path, err))
			return http.StatusInternalServerError, nil
		}
	}
	if q.route.published != nil {
		if err := answerConforms(q.r.Context(), q, a.status, h, body); err != nil {
			c.violation(fmt.Sprintf("answer %s %s: %d: %v", q.route.method, q.r.URL.Path, a.status, err))
		}
	}
	return a.status, body
}

// cut ends the connection with a reset and without an answer.
func cut(w http.ResponseWriter) {
	hijacker, can := w.(http.Hijacker)
	if !can {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.SetLinger(0) // without it the close is an orderly one, which is an end, too
	}
	_ = conn.Close() // there is no one to tell
}
