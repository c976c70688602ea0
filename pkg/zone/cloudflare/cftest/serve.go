package cftest

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

// maxBody bounds a request: a batch of 3,500 records, and more.
const maxBody = 8 << 20

// call is one request on its way.
type call struct {
	r          *http.Request
	n          int // of the cloud's requests, from 1
	route      *route
	params     map[string]string // of the path, decoded
	query      url.Values
	body       []byte
	now        time.Time
	token      *token // nil until it was found good
	zone       *zone  // of the path
	how        How
	ans        answer
	retryAfter string // seconds
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
		if r.Body == nil { // of a client that calls the handler without a network
			r.Body = http.NoBody
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusRequestEntityTooLarge)
			return
		}
		q := &call{r: r, route: rt, query: r.URL.Query(), body: body, params: map[string]string{}}
		for _, name := range rt.params {
			q.params[name] = r.PathValue(name)
		}
		around := c.begin(q)
		commit := sync.OnceFunc(func() { c.commit(q) })
		if around != nil && !around(q.n, r, commit) {
			c.end(q, 0)
			cut(w)
			return
		}
		commit()
		c.deliver(w, q)
	})
}

// begin counts the request and picks the fault that hits it.
func (c *Cloud) begin(q *call) Around {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	q.n = c.seen
	c.calls[q.route.method+" "+q.route.path]++
	q.how = c.pick(q)
	return c.around
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

// commit brings the request's effect about, unless a fault comes before it. What the
// request looks like is checked before the cloud is locked.
func (c *Cloud) commit(q *call) {
	var form error
	if q.route.handler != nil {
		form = conforms(q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q.now = c.now()
	q.ans = c.perform(q, form)
}

// perform does what the API does with a request.
func (c *Cloud) perform(q *call, form error) answer {
	if c.stopped() {
		return refuse(http.StatusServiceUnavailable, codeInternal, "the cloud is closed").answer()
	}
	known, refused := c.authenticate(q)
	q.token = known
	if instead := c.instead(q); instead != nil {
		return instead.answer()
	}
	if refused != nil {
		return refused.answer()
	}
	if refused := c.admit(q); refused != nil {
		return refused.answer()
	}
	if q.route.handler == nil {
		c.violation(fmt.Sprintf("request %s %s: not served by this cloud", q.r.Method, q.r.URL.Path))
		return noRoute(q.r.URL.Path).answer()
	}
	if refused := c.enter(q); refused != nil {
		return refused.answer()
	}
	if form != nil {
		return c.misformed(q, form).answer()
	}
	return q.route.handler(c, q)
}

// misformed refuses what the published description forbids.
func (c *Cloud) misformed(q *call, why error) *refusal {
	c.violation(fmt.Sprintf("request %s %s: %v", q.route.method, q.r.URL.Path, why))
	if len(q.body) > 0 && !json.Valid(q.body) {
		return refuse(http.StatusBadRequest, codeBody, "Request body is invalid.")
	}
	return invalid(codeOther, "%v", why)
}

// deliver sends the answer, or what the fault makes of it.
func (c *Cloud) deliver(w http.ResponseWriter, q *call) {
	switch q.how {
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
		q.ans = answer{status: http.StatusBadGateway, text: "<html><body><h1>502 Bad Gateway</h1><hr>cloudflare</body></html>\n"}
	case ErrorAfter:
		q.ans = serverError().answer()
	}
	body := c.encode(w.Header(), q)
	if q.how == Garbled {
		body = body[:len(body)/2]
	}
	c.end(q, q.ans.status)
	w.WriteHeader(q.ans.status)
	_, _ = w.Write(body) // the client may be gone
}

// encode writes headers and body, and checks them against what is published. What went
// wrong here or at a proxy is published nowhere.
func (c *Cloud) encode(h http.Header, q *call) []byte {
	body := []byte(q.ans.text)
	h.Set("Content-Type", "application/json")
	var err error
	switch {
	case q.ans.status == http.StatusBadGateway:
		h.Set("Content-Type", "text/html; charset=UTF-8")
	case q.ans.body == nil:
		h.Set("Content-Type", "text/plain")
	default:
		body, err = json.Marshal(q.ans.body)
	}
	c.headers(h, q)
	if err == nil && q.route.published != nil && q.ans.status < http.StatusInternalServerError {
		err = answerConforms(q.r.Context(), q, q.ans.status, h, body)
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.violation(fmt.Sprintf("answer %s %s: %d: %v", q.route.method, q.r.URL.Path, q.ans.status, err))
	}
	return body
}

// headers are on every answer.
func (c *Cloud) headers(h http.Header, q *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, values := range q.ans.header {
		h[name] = values
	}
	c.rateHeaders(h, q)
	h.Set("Cf-Ray", hash("ray", fmt.Sprint(q.n))[:16]+"-TST")
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
