package relay

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// deltaTimeout is how long one page may take over a slow link.
const deltaTimeout = 2 * time.Minute

// answerTelemetry answers /api/telemetry?since=MINUTE.
func (r *Relay) answerTelemetry(w http.ResponseWriter, q *http.Request) {
	since, err := parseSince(q.URL.Query().Get("since"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	body, done := begin(w, q, "application/json")
	_ = json.NewEncoder(body).Encode(r.telemetry(since, time.Now())) // a client that has gone is no error of ours
	done()
}

// answerDelta answers /api/census/delta?after=CURSOR.
func (r *Relay) answerDelta(w http.ResponseWriter, q *http.Request) {
	head, page, end, err := r.ledger.delta(q.URL.Query().Get("after"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(deltaTimeout))
	body, done := begin(w, q, "application/x-ndjson")
	defer done()
	out := json.NewEncoder(body)
	if out.Encode(head) != nil {
		return
	}
	for i := range page {
		if out.Encode(&page[i]) != nil {
			return // the client has gone
		}
	}
	_ = out.Encode(end)
}

// begin starts an answer, compressed where the client takes that. The body is whole
// after done.
func begin(w http.ResponseWriter, q *http.Request, kind string) (body io.Writer, done func()) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Vary", "Accept-Encoding")
	if !takesGzip(q.Header.Values("Accept-Encoding")) {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	return z, func() { _ = z.Close() }
}

// takesGzip reads Accept-Encoding: a list of names, each with a weight of which 0 is no.
func takesGzip(accepted []string) bool {
	for name := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		name, weight, weighed := strings.Cut(name, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, number, _ := strings.Cut(weight, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		return !weighed || err == nil && q > 0
	}
	return false
}
