package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard_RefusesHostsThatAreNotOurs(t *testing.T) {
	_, server := serve(t, well(1), func(c *Config) { c.Hosts = []string{"fleet.example.net"} })
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8484": 200, "localhost:8484": 200, "LOCALHOST": 200, "[::1]:8484": 200, "127.9.9.9": 200,
		"fleet.example.net:8484": 200, "fleet.example.net": 200, "fleet.localhost:8484": 200,
		"evillocalhost": 421, "[::2]:8484": 421,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:8484": 421, "192.0.2.1": 421, "fleet.example.net.evil.example": 421,
	} {
		a := ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Host = host })
		if a.StatusCode != want {
			t.Errorf("Host %s: status %d, want %d", host, a.StatusCode, want)
		}
	}
}

func TestGuard_KnowsTheNamesInItsCertificateAndNoOthers(t *testing.T) {
	shown := httptest.NewTLSServer(nil)
	defer shown.Close()
	_, server := serve(t, well(1), func(c *Config) { c.Certificate = shown.Certificate })
	for host, want := range map[string]int{"example.com": 200, "example.com:8484": 200, "www.example.org": 421, "evil.example": 421} {
		if a := ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Host = host }); a.StatusCode != want {
			t.Errorf("Host %s, the certificate is for %q: status %d, want %d", host, shown.Certificate().DNSNames, a.StatusCode, want)
		}
	}
}

func TestGuard_RefusesPagesOfOtherOrigins(t *testing.T) {
	_, server := serve(t, well(1), nil)
	ours := server.URL
	for _, test := range []struct {
		name, path string
		head       map[string]string
		want       int
	}{
		{"own page", "/live", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": ours}, 200},
		{"typed address", "/", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"link from elsewhere", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200},
		{"link to data", "/api/v1/fleet", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403},
		{"frame", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		{"script from elsewhere that calls it a document", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "document"}, 403},
		{"file", "/", map[string]string{"Origin": "file://"}, 403},
		{"fetch from elsewhere", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"sibling", "/api/v1/fleet", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"other origin", "/api/v1/fleet", map[string]string{"Origin": "https://evil.example"}, 403},
		{"no origin", "/api/v1/fleet", map[string]string{"Origin": "null"}, 403},
	} {
		a := head(t, server.URL+test.path, test.head)
		if a.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", test.name, a.StatusCode, test.want)
		}
	}
}

func TestGuard_AFormOfAnotherOriginIsNoLink(t *testing.T) {
	_, server := serve(t, well(1), nil)
	a := ask(t, http.MethodPost, server.URL+"/", func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
	})
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("a form that is sent from elsewhere: status %d, want 403", a.StatusCode)
	}
}

// head asks without a body, which for /live would not end.
func head(t *testing.T, url string, headers map[string]string) answered {
	t.Helper()
	method := http.MethodGet
	if strings.HasSuffix(url, "/live") {
		method = http.MethodHead
	}
	return ask(t, method, url, func(r *http.Request) {
		for name, value := range headers {
			r.Header.Set(name, value)
		}
	})
}

func TestGuard_OnlyReads(t *testing.T) {
	_, server := serve(t, well(1), nil)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "TRACE", "PURGE"} {
		a := ask(t, method, server.URL+"/api/v1/fleet", nil)
		if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q, want 405 and GET, HEAD", method, a.StatusCode, a.Header.Get("Allow"))
		}
	}
	if a := ask(t, http.MethodPost, server.URL+loginPath, nil); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /login of a server without a token: status %d, want 405", a.StatusCode)
	}
}

func TestGuard_EveryAnswerHasItsPolicy(t *testing.T) {
	_, server := serve(t, well(1), nil)
	for _, path := range []string{"/", "/assets/app.js", "/assets/style.css", "/api/v1/fleet", "/metrics", "/nothing", "/assets/page.html"} {
		a := ask(t, http.MethodGet, server.URL+path, nil)
		kept := "no-store"
		if strings.HasPrefix(path, "/assets/") && a.StatusCode == http.StatusOK {
			kept = "no-cache" // asked for again each time
		}
		for name, want := range map[string]string{
			"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": kept,
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
				"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}
