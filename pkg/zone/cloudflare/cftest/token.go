package cftest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Permission is a set of what a token may do in a zone.
type Permission int

// The permissions that matter here, by their names in the dashboard.
const (
	ZoneRead Permission = 1 << iota // Zone.Zone:Read: find the zone by its name
	DNSRead                         // Zone.DNS:Read
	DNSEdit                         // Zone.DNS:Edit, which includes reading
	All      = ZoneRead | DNSRead | DNSEdit
)

// Grant gives a token permissions in one zone, or with Zone "" in every zone.
type Grant struct {
	Zone string
	May  Permission
}

// Token is an API token. Without grants it may do nothing but be verified.
type Token struct {
	Value        string
	Grants       []Grant
	Disabled     bool
	Expired      bool
	AccountOwned bool // not a user's: GET /user/tokens/verify does not know it
}

type token struct {
	Token
	id      string
	recent  window    // requests of the last five minutes
	blocked time.Time // until then every request is refused
}

func (c *Cloud) addToken(t Token) {
	c.tokens[t.Value] = &token{Token: t, id: hash("token", t.Value)}
}

// may reports whether the token has all of these permissions in a zone.
func (t *token) may(p Permission, z *zone) bool {
	var have Permission
	for _, g := range t.Grants {
		if g.Zone == "" || g.Zone == z.Name {
			have |= g.May
		}
	}
	if have&DNSEdit != 0 {
		have |= DNSRead
	}
	return have&p == p
}

// everywhere reports whether the token has a permission in every zone there may be.
func (t *token) everywhere(p Permission) bool {
	return slices.ContainsFunc(t.Grants, func(g Grant) bool { return g.Zone == "" && g.May&p == p })
}

// somewhere reports whether the token has a permission in any zone.
func (t *token) somewhere(p Permission) bool {
	return slices.ContainsFunc(t.Grants, func(g Grant) bool { return g.May&p == p })
}

func (t *token) status() string {
	switch {
	case t.Expired:
		return "expired"
	case t.Disabled:
		return "disabled"
	default:
		return "active"
	}
}

// wellFormed is what a token is made of.
var wellFormed = regexp.MustCompile(`^Bearer [A-Za-z0-9._-]+$`)

// authenticate finds the token of a request; the refusal of one that is malformed or
// unknown. Whether the token is active, and may do it, is checked later.
func (c *Cloud) authenticate(q *call) (*token, *refusal) {
	header := q.r.Header.Get("Authorization")
	switch {
	case header == "":
		return nil, refuse(http.StatusBadRequest, codeNoHeader, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
	case !wellFormed.MatchString(header):
		r := refuse(http.StatusBadRequest, codeHeaders, "Invalid request headers")
		r.problems[0].Chain = []problem{{Code: codeHeaderFormat, Message: "Invalid format for Authorization header"}}
		return nil, r
	}
	t := c.tokens[strings.TrimPrefix(header, "Bearer ")]
	verifying := q.route.path == "/user/tokens/verify"
	switch {
	case verifying && (t == nil || t.AccountOwned):
		return t, refuse(http.StatusUnauthorized, codeInvalidToken, "Invalid API Token")
	case t == nil:
		return nil, refuse(http.StatusForbidden, codeUnauthorised, "Invalid access token")
	case t.status() != "active" && !verifying:
		return t, unauthenticated()
	}
	return t, nil
}

// verifyToken says of a token that is disabled or expired just that. A success carries a
// message with the number of an authentication error.
func verifyToken(_ *Cloud, q *call) answer {
	a := ok(map[string]any{"id": q.token.id, "status": q.token.status()})
	e, _ := a.body.(envelope)
	e.Messages = []problem{{Code: codeAuthentication, Message: "This API Token is valid and " + q.token.status()}}
	a.body = e
	return a
}

// RevokeToken makes a token unknown, as someone does in the dashboard.
func (c *Cloud) RevokeToken(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, value)
}
