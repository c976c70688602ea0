package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	loginPath  = "/login"
	cookieName = "fleetctl_session"
	cookieLife = 12 * time.Hour
	// MinToken is how many characters a token has at least: it is not guessed.
	MinToken = 20
)

// ErrShortToken is a token that could be guessed.
var ErrShortToken = fmt.Errorf("the token has less than %d characters", MinToken)

// entry decides who is let in: whoever shows the token as a bearer, or a cookie that the
// login form gave for it. The cookie is not the token: it ends, and it means nothing to
// another run of the server.
type entry struct {
	want [sha256.Size]byte // of the token
	key  []byte            // of the cookies; nil: everybody is let in
	tls  bool
	now  func() time.Time
}

func newEntry(token string, tls bool, now func() time.Time) (entry, error) {
	e := entry{tls: tls, now: now}
	if token == "" {
		return e, nil
	}
	if len(token) < MinToken {
		return e, ErrShortToken
	}
	e.want, e.key = sha256.Sum256([]byte(token)), make([]byte, 32)
	_, err := rand.Read(e.key)
	return e, err
}

func (e entry) needed() bool { return e.key != nil }

// is compares in a time that says nothing of the token.
func (e entry) is(token string) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], e.want[:]) == 1
}

func (e entry) admits(r *http.Request) bool {
	if !e.needed() {
		return true
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return e.is(strings.TrimSpace(token))
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	until, seal, ok := strings.Cut(cookie.Value, ".")
	got, err := hex.DecodeString(seal)
	if !ok || err != nil || !hmac.Equal(got, e.seal(until)) {
		return false
	}
	ends, err := strconv.ParseInt(until, 10, 64)
	return err == nil && e.now().Unix() < ends
}

func (e entry) seal(until string) []byte {
	h := hmac.New(sha256.New, e.key)
	_, _ = h.Write([]byte("session until " + until))
	return h.Sum(nil)
}

func (e entry) cookie() *http.Cookie {
	until := strconv.FormatInt(e.now().Add(cookieLife).Unix(), 10)
	return &http.Cookie{ //nolint:gosec // Secure wherever there is TLS: without, it is loopback
		Name: cookieName, Value: until + "." + hex.EncodeToString(e.seal(until)), Path: "/", MaxAge: int(cookieLife.Seconds()),
		HttpOnly: true, Secure: e.tls, SameSite: http.SameSiteLaxMode,
	}
}

// serveLogin takes the token from the form, and from nowhere else.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second)) // best effort: the form is short
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "this is no login form", "")
		return
	}
	if !s.entry.is(strings.TrimSpace(r.PostForm.Get("token"))) {
		s.serveForm(w, r, "That is not the token.")
		return
	}
	http.SetCookie(w, s.entry.cookie())
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// serveDenied asks a browser for the token, and tells a program that it needs one.
func (s *Server) serveDenied(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.serveForm(w, r, "")
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="fleetctl"`)
	fail(w, http.StatusUnauthorized, "the token is missing or wrong", "send it as 'Authorization: Bearer TOKEN'")
}

func (s *Server) serveForm(w http.ResponseWriter, r *http.Request, wrong string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	if r.Method == http.MethodHead {
		return
	}
	if err := s.page.ExecuteTemplate(w, "login", map[string]string{"Wrong": wrong}); err != nil {
		s.cfg.Log.DebugContext(r.Context(), "login form was not sent", "err", err)
	}
}

// nonce is a word that no other run has.
func nonce() (string, error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return "", errors.Join(errors.New("web: no randomness"), err)
	}
	return hex.EncodeToString(b), nil
}
