package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// knows reports whether a Host header names us. Otherwise a page of anybody's could give
// its own name our address and read us through the browser of somebody who is let in.
func (s *Server) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return true
	}
	if slices.ContainsFunc(s.cfg.Hosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	return host != "" && s.cfg.Certificate != nil && s.cfg.Certificate().VerifyHostname(host) == nil
}

// policy is what the page may load, and who may show it: its own files, and nobody.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded lets through what may be asked, by who may ask.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin") // no-referrer makes browsers say "Origin: null" with our own form
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.knows(r.Host):
			fail(w, http.StatusMisdirectedRequest, "this is not the host that was asked for", "name it with 'fleetctl serve --host'")
		case foreign(r):
			fail(w, http.StatusForbidden, "the request was made by a page of another origin", "")
		case r.URL.Path == loginPath && r.Method == http.MethodPost && s.entry.needed():
			s.serveLogin(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "everything here is only read", "")
		case !s.entry.admits(r) && !open(r):
			s.serveDenied(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// open reports whether a request needs no token: it is for what the login form looks like.
func open(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/assets/") }

// foreign reports whether a page of another origin made a request. A link to our page that
// somebody follows is none: what answers it is shown, and to nobody but them.
func foreign(r *http.Request) bool {
	if from := r.Header.Get("Origin"); from != "" {
		u, err := url.Parse(from)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	followed := r.URL.Path == "/" && r.Method == http.MethodGet &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !followed
}
