package web

import (
	"compress/gzip"
	"net/http"
	"strings"
)

// compressed packs the answers of a handler for clients that unpack them, but for those
// that go on for as long as a page is open.
func compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.URL.Path == "/live" || r.Method == http.MethodHead || !accepts(r, "gzip") {
			next.ServeHTTP(w, r)
			return
		}
		packed := &packer{ResponseWriter: w}
		defer packed.close()
		r = r.Clone(r.Context())
		r.Header.Del("Accept-Encoding") // promhttp would pack a second time
		next.ServeHTTP(packed, r)
	})
}

// accepts reports whether a client takes a coding, and does not say that it weighs nothing.
func accepts(r *http.Request, coding string) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// packer packs what is written, unless nothing is: a redirect has no body to pack.
type packer struct {
	http.ResponseWriter
	to *gzip.Writer
}

// WriteHeader announces the coding with the status.
func (p *packer) WriteHeader(status int) {
	h := p.Header()
	if p.to == nil && status != http.StatusNoContent && status != http.StatusNotModified && (status < 300 || status >= 400) {
		h.Set("Content-Encoding", "gzip")
		h.Del("Content-Length")
		p.to = gzip.NewWriter(p.ResponseWriter)
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write packs.
func (p *packer) Write(b []byte) (int, error) {
	if p.to == nil {
		if p.Header().Get("Content-Type") == "" {
			p.Header().Set("Content-Type", http.DetectContentType(b))
		}
		p.WriteHeader(http.StatusOK)
	}
	if p.to == nil {
		return p.ResponseWriter.Write(b)
	}
	return p.to.Write(b)
}

// close ends the packed body. An error of it is one of the connection.
func (p *packer) close() {
	if p.to != nil {
		_ = p.to.Close()
	}
}
