package digitalocean

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// apiError is an answer that says no.
type apiError struct {
	status  int
	id      string // "unprocessable_entity"
	message string
	request string // for the provider's support
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("the API answers %d", e.status)
	if e.id != "" {
		text += " " + e.id
	}
	if e.message != "" {
		text += ": " + e.message
	}
	if e.request != "" {
		text += " (request " + e.request + ")"
	}
	return text
}

// is reports whether err is an answer with one of the statuses.
func is(err error, statuses ...int) bool {
	var e *apiError
	if !errors.As(err, &e) {
		return false
	}
	for _, s := range statuses {
		if e.status == s {
			return true
		}
	}
	return false
}

// says reports whether err is an answer whose message holds the words.
func says(err error, words string) bool {
	var e *apiError
	return errors.As(err, &e) && strings.Contains(strings.ToLower(e.message), words)
}

// doubtful reports whether a request that failed may have had its effect all the same.
func doubtful(err error) bool {
	var never *unsent
	var e *apiError
	switch {
	case err == nil, errors.As(err, &never):
		return false
	case errors.As(err, &e):
		return e.status >= 500
	}
	return true // no answer, or one that cannot be read
}

// do makes a call and gives its error a meaning.
func do[T any](ctx context.Context, p *Provider, call func(context.Context) (T, *godo.Response, error)) (T, *godo.Response, error) {
	v, resp, err := call(ctx)
	if err != nil {
		var zero T
		return zero, resp, p.meaning(err)
	}
	return v, resp, nil
}

// must is do where only success matters.
func (p *Provider) must(ctx context.Context, call func(context.Context) (*godo.Response, error)) error {
	if _, err := call(ctx); err != nil {
		return p.meaning(err)
	}
	return nil
}

// again makes a call that may be made twice up to three times, as long as it is doubtful
// whether it had its effect.
func (p *Provider) again(ctx context.Context, call func(context.Context) error) error {
	for try := 1; ; try++ {
		err := call(ctx)
		if !doubtful(err) || ctx.Err() != nil || try == tries-1 {
			return err
		}
		if err := pause(ctx, p.trans.delay(try)); err != nil {
			return err
		}
	}
}

// meaning makes what godo and net/http return an error of ours.
func (p *Provider) meaning(err error) error {
	var said *godo.ErrorResponse
	if errors.As(err, &said) {
		return p.refused(said)
	}
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err // without the address, which says nothing to the operator
	}
	return fmt.Errorf("the API's answer cannot be read: %w", err)
}

// refused reads an answer that says no.
func (p *Provider) refused(said *godo.ErrorResponse) error {
	e := &apiError{status: said.Response.StatusCode, message: clean(said.Message), request: clean(said.RequestID)}
	if body, ok := said.Response.Body.(answer); ok {
		var form struct{ ID, Message string }
		if json.Unmarshal(body.Text, &form) == nil {
			e.id, e.message = clean(form.ID), clean(form.Message)
		}
	}
	r := said.Response.Request
	switch {
	case e.status == http.StatusUnauthorized:
		return fleet.WithHint(fmt.Errorf("%w: the API token from %s: %w", fleet.ErrAuth, p.trans.where(), e),
			"make a new token at DigitalOcean, in the team that the fleet belongs to, and put it where the old one is")
	case e.status == http.StatusForbidden && says(e, "locked"):
		return lockedError(e)
	case e.status == http.StatusForbidden:
		return fleet.WithHint(fmt.Errorf("%w: the API token from %s may not %s: %w", fleet.ErrAuth, p.trans.where(), r.Method+" "+clean(r.URL.Path), e),
			"give the token the scope "+scope(r.Method, r.URL.Path))
	case e.status == http.StatusTooManyRequests:
		return fleet.WithHint(fmt.Errorf("%w: %w", fleet.ErrQuota, e), "run the same command again in a minute: it goes on from what is there")
	case e.status == http.StatusUnprocessableEntity && says(e, "droplet limit"):
		return fleet.WithHint(fmt.Errorf("%w: %w", fleet.ErrQuota, e),
			"ask DigitalOcean for a higher droplet limit, or delete droplets that nobody needs")
	}
	return e
}

// lockedError is of an account that may only read.
func lockedError(why error) error {
	return fleet.WithHint(fmt.Errorf("%w: the account is locked: %w", fleet.ErrAuth, why),
		"see what DigitalOcean wants of the account, at cloud.digitalocean.com; nothing can be changed before")
}

// scope is what a token needs for a request.
func scope(method, path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	verb := map[string]string{http.MethodGet: "read", http.MethodPost: "create", http.MethodPut: "update", http.MethodDelete: "delete"}[method]
	last := parts[len(parts)-1]
	switch {
	case parts[0] == "droplets" && last == "actions" && method == http.MethodPost:
		return "droplet:update"
	case parts[0] == "droplets" && method == http.MethodPost:
		return "droplet:create, and those that it needs: tag:create, ssh_key:read, image:read, vpc:read"
	case parts[0] == "account" && len(parts) > 1:
		return "ssh_key:" + verb
	case parts[0] == "sizes":
		return "sizes:read, and regions:read"
	case parts[0] == "regions":
		return "regions:read"
	case parts[0] == "firewalls" && method == http.MethodPut:
		return "firewall:update, and read access to all that the firewall is attached to"
	}
	return strings.TrimSuffix(parts[0], "s") + ":" + verb
}

// mostSaid bounds what others say in an error, in characters.
const mostSaid = 300

// clean makes one printable line of what others say.
func clean(text string) string {
	line := []rune(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	if len(line) > mostSaid {
		return string(line[:mostSaid]) + "…"
	}
	return string(line)
}

// took is a time for people.
func took(since time.Time) time.Duration { return time.Since(since).Round(time.Second) }
