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

func TestToken_IsAskedForEverywhereButForTheLook(t *testing.T) {
	_, server := serve(t, well(1), func(c *Config) { c.Token = secret })
	for _, path := range []string{"/", "/live", "/metrics", "/api/v1/fleet", "/scrape/nyc1-1", "/api/v1/openapi.json", "/?token=" + secret, "/x/assets/style.css"} {
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
	if _, err := New(Config{Source: &source{Board: NewBoard(blank())}, Now: today, Token: secret[:MinToken-1]}); err == nil {
		t.Error("a token of 19 characters was taken, want an error")
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
		if a := b.navigate(http.MethodPost, server.URL+loginPath, origin, url.Values{"token": {secret}}); a.StatusCode != http.StatusForbidden || a.Request.Response != nil {
			t.Errorf("a form of %s: status %d at %s, want 403 at once", origin, a.StatusCode, a.Request.URL)
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
