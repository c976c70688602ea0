package web

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const secret = "0123456789abcdef0123456789abcdef"

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func TestGuard_RefusesHostsThatAreNotOurs(t *testing.T) {
	_, server := serve(t, well(1), func(c *Config) { c.Hosts = []string{"fleet.example.net"} })
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8484": 200, "localhost:8484": 200, "LOCALHOST": 200, "[::1]:8484": 200, "127.9.9.9": 200,
		"fleet.example.net:8484": 200, "fleet.example.net": 200,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:8484": 421, "192.0.2.1": 421, "fleet.example.net.evil.example": 421,
	} {
		a := ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Host = host })
		if a.StatusCode != want {
			t.Errorf("Host %s: status %d, want %d", host, a.StatusCode, want)
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
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q, want %q in it", path, name, got, want)
			}
		}
		if p := a.Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q lets others frame the page, or scripts stand in it", path, p)
		}
	}
}

func TestToken_IsAskedForEverywhereButForTheLook(t *testing.T) {
	_, server := serve(t, well(1), func(c *Config) { c.Token = secret })
	for _, path := range []string{"/", "/live", "/metrics", "/api/v1/fleet", "/scrape/nyc1-1", "/api/v1/openapi.json", "/?token=" + secret} {
		if a := head(t, server.URL+path, nil); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET %s without the token: status %d, want 401", path, a.StatusCode)
		}
	}
	for token, want := range map[string]int{secret: 200, secret + "0": 401, secret[1:]: 401, "": 401} {
		if a := ask(t, http.MethodGet, server.URL+"/api/v1/fleet", bearer(token)); a.StatusCode != want {
			t.Errorf("bearer %q: status %d, want %d", token, a.StatusCode, want)
		}
	}
	if a := ask(t, http.MethodGet, server.URL+"/assets/style.css", nil); a.StatusCode != http.StatusOK {
		t.Errorf("the login form has no style: status %d", a.StatusCode)
	}
}

func TestToken_TheFormGivesACookieThatIsNotTheToken(t *testing.T) {
	var later atomic.Int64 // nanoseconds after today
	_, server := serve(t, well(1), func(c *Config) {
		c.Token, c.Now = secret, func() time.Time { return today().Add(time.Duration(later.Load())) }
	})
	form := ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.Header.Set("Accept", "text/html") })
	if form.StatusCode != http.StatusUnauthorized || !strings.Contains(form.text, `action="/login"`) {
		t.Fatalf("a browser without the token: %d %s, want 401 and a form", form.StatusCode, form.text)
	}
	login := func(token string) answered {
		return ask(t, http.MethodPost, server.URL+loginPath, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			body := strings.NewReader(url.Values{"token": {token}}.Encode())
			r.Body, r.ContentLength = http.NoBody, 0
			made := httptest.NewRequest(http.MethodPost, "/", body)
			r.Body, r.ContentLength = made.Body, made.ContentLength
		})
	}
	if a := login("wrong"); a.StatusCode != http.StatusUnauthorized || len(a.Cookies()) > 0 || !strings.Contains(a.text, "not the token") {
		t.Errorf("wrong token: status %d, cookies %v, want 401 and none", a.StatusCode, a.Cookies())
	}
	a := login(secret)
	if a.StatusCode != http.StatusSeeOther || len(a.Cookies()) != 1 {
		t.Fatalf("right token: status %d, cookies %v, want 303 and one", a.StatusCode, a.Cookies())
	}
	cookie := a.Cookies()[0]
	if strings.Contains(cookie.Value, secret) || !cookie.HttpOnly || cookie.SameSite == http.SameSiteNoneMode {
		t.Errorf("cookie %v holds the token, or others may read it", cookie)
	}
	page := func(value string) int {
		return ask(t, http.MethodGet, server.URL+"/", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: value}) }).StatusCode
	}
	if got := page(cookie.Value); got != http.StatusOK {
		t.Errorf("with the cookie: status %d, want 200", got)
	}
	until, seal, _ := strings.Cut(cookie.Value, ".")
	for _, forged := range []string{"", ".", "9" + until + "." + seal, until + ".", until + "." + strings.Repeat("0", len(seal))} {
		if got := page(forged); got != http.StatusUnauthorized {
			t.Errorf("cookie %q: status %d, want 401", forged, got)
		}
	}
	later.Store(int64(cookieLife + time.Second))
	if got := page(cookie.Value); got != http.StatusUnauthorized {
		t.Errorf("with a cookie that ended: status %d, want 401", got)
	}
}

func TestToken_OneThatCouldBeGuessedIsRefused(t *testing.T) {
	if _, err := New(Config{Source: &source{Board: NewBoard(blank())}, Now: today, Token: "letmein"}); err == nil {
		t.Error("a token of 7 characters was taken, want an error")
	}
}

// browser asks as one does: with cookies, redirects, and what it says of where a request
// comes from.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T, of *httptest.Server) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *of.Client()
	client.Jar = jar
	return browser{t, &client}
}

// navigate opens a page, or sends a form that a page of an origin has.
func (b browser) navigate(method, url, origin string, form url.Values) answered {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	h := req.Header
	h.Set("Accept", "text/html,application/xhtml+xml")
	h.Set("Sec-Fetch-Mode", "navigate")
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Sec-Fetch-Site", "none")
	if method == http.MethodPost {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		h.Set("Origin", origin)
		h.Set("Sec-Fetch-Site", "same-origin")
		if !strings.HasPrefix(url, origin+"/") {
			h.Set("Sec-Fetch-Site", "cross-site")
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, url, err)
	}
	return answered{resp, string(text)}
}

func TestToken_ABrowserLogsInOnceAndSeesThePage(t *testing.T) {
	var handler atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, _ := handler.Load().(http.Handler)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s, err := New(Config{Source: &source{Board: NewBoard(well(1))}, Now: time.Now, Token: secret, Certificate: server.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	handler.Store(s.Handler())
	b := newBrowser(t, server)
	if a := b.navigate(http.MethodGet, server.URL+"/", "", nil); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.text, `<form method="post" action="/login">`) {
		t.Fatalf("the first visit: %d %s, want 401 and the form", a.StatusCode, a.text)
	}
	for _, origin := range []string{"null", "https://evil.example", "http://" + strings.TrimPrefix(server.URL, "https://") + "0"} {
		if a := b.navigate(http.MethodPost, server.URL+loginPath, origin, url.Values{"token": {secret}}); a.StatusCode != http.StatusForbidden || len(a.Cookies()) > 0 {
			t.Errorf("a form of %s: status %d, cookies %v, want 403 and none", origin, a.StatusCode, a.Cookies())
		}
	}
	if a := b.navigate(http.MethodPost, server.URL+loginPath+"?token="+secret, server.URL, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token in the address: status %d, want 401", a.StatusCode)
	}
	if a := b.navigate(http.MethodPost, server.URL+loginPath, server.URL, url.Values{"token": {secret}, "more": {strings.Repeat("x", 9<<10)}}); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of 9 KB: status %d, want 400", a.StatusCode)
	}
	a := b.navigate(http.MethodPost, server.URL+loginPath, server.URL, url.Values{"token": {secret}})
	if a.StatusCode != http.StatusOK || a.Request.URL.Path != "/" || !strings.Contains(a.text, "nyc1-1") {
		t.Fatalf("the form with the token: %d at %s, want the page", a.StatusCode, a.Request.URL)
	}
	for _, path := range []string{"/", "/api/v1/fleet", "/metrics"} {
		if a := b.navigate(http.MethodGet, server.URL+path, "", nil); a.StatusCode != http.StatusOK {
			t.Errorf("GET %s after the login: status %d, want 200", path, a.StatusCode)
		}
	}
	if given := a.Request.Response.Cookies(); len(given) != 1 || !given[0].Secure || !given[0].HttpOnly || given[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("cookies %v, want one for TLS alone, out of reach of scripts and of forms elsewhere", given)
	}
	again, err := New(Config{Source: &source{Board: NewBoard(well(1))}, Now: time.Now, Token: secret, Certificate: server.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	handler.Store(again.Handler())
	if a := b.navigate(http.MethodGet, server.URL+"/", "", nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a restart the cookie of before: status %d, want 401", a.StatusCode)
	}
}
