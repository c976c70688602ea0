package dotest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// DefaultToken is the token of the account that a cloud has if none is configured.
const DefaultToken = "dotest"

// defaultDropletLimit is what an account may have unless it says otherwise.
const defaultDropletLimit = 25

// Account is a team with the token that opens it. Zero values: 25 droplets, an active
// account of ops@example.com, every scope.
type Account struct {
	Token         string
	Email         string
	Team          string // name; the uuid follows from it
	DropletLimit  int
	Status        string // active, warning or locked; a locked one may only read
	StatusMessage string
	// Scopes that the token has, as in the published description ("droplet:read");
	// nil is all of them.
	Scopes []string
}

// team is an account and what it holds.
type team struct {
	Account
	droplets  []*droplet // by ID
	actions   []*action  // by ID
	keys      []*key     // by ID
	tags      map[string]*tag
	firewalls []*firewall // in the order of their creation

	minute, hour, keyLists window
}

func newTeam(a Account) *team {
	return &team{Account: a.withDefaults(), tags: map[string]*tag{}}
}

func (a Account) withDefaults() Account {
	if a.Email == "" {
		a.Email = "ops@example.com"
	}
	if a.Team == "" {
		a.Team = "My Team"
	}
	if a.DropletLimit == 0 {
		a.DropletLimit = defaultDropletLimit
	}
	if a.Status == "" {
		a.Status = "active"
	}
	return a
}

// SetAccount changes the account with that token, or adds it. What it holds stays.
func (c *Cloud) SetAccount(a Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.teams[a.Token]; t != nil {
		t.Account = a.withDefaults()
		return
	}
	c.teams[a.Token] = newTeam(a)
}

// RemoveAccount makes the token a wrong one. What the account held is gone.
func (c *Cloud) RemoveAccount(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.teams, token)
}

// authenticate finds the account of a request; nil where the token is missing or wrong.
func (c *Cloud) authenticate(r *http.Request) *team {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil
	}
	return c.teams[token]
}

// may reports whether the account's token has every one of the scopes.
func (t *team) may(scopes ...string) bool {
	return t.Scopes == nil || !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(t.Scopes, s) })
}

// locked reports whether the account may not change anything.
func (t *team) locked() bool { return t.Status == "locked" }

type accountBody struct {
	DropletLimit    int      `json:"droplet_limit"`
	FloatingIPLimit int      `json:"floating_ip_limit"`
	VolumeLimit     int      `json:"volume_limit"`
	Email           string   `json:"email"`
	Name            string   `json:"name"`
	UUID            string   `json:"uuid"`
	EmailVerified   bool     `json:"email_verified"`
	Status          string   `json:"status"`
	StatusMessage   string   `json:"status_message"`
	Team            teamBody `json:"team"`
}

type teamBody struct {
	UUID string `json:"uuid"`
	Name string `json:"name"`
}

func getAccount(_ *Cloud, q *call) answer {
	a := q.team.Account
	return ok(map[string]any{"account": accountBody{
		DropletLimit: a.DropletLimit, FloatingIPLimit: 3, VolumeLimit: 100,
		Email: a.Email, Name: a.Team, UUID: hash("account", a.Token), EmailVerified: true,
		Status: a.Status, StatusMessage: a.StatusMessage,
		Team: teamBody{UUID: hash("team", a.Team), Name: a.Team},
	}})
}

// stamp is a time as the API writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
