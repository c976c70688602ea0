package cloudflare

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/relayfleet/fleetctl/pkg/apiwire"
)

// unsent is an error of a request that never left; answer is a body that was read.
type (
	unsent = apiwire.Unsent
	answer = apiwire.Answer
)

// newTransport sends requests with the token, at the zone's pace. It sends a read again
// after a 5xx or when no answer came, and a write only if it surely had no effect: after a
// 429, or if no connection was made.
func newTransport(cfg Config, base *url.URL) *apiwire.Transport {
	pace := newPace(cfg.Waits, cfg.Log)
	return apiwire.New(apiwire.Config{
		Base: cfg.Transport, Host: base.Host, Wait: pace.wait, Heard: pace.heard,
		Secret: func(ctx context.Context) (string, string, error) {
			token, from, err := cfg.Token(ctx)
			if err == nil {
				err = checkToken(token, from)
			}
			if err != nil {
				return "", from, noToken(err)
			}
			return token, from, nil
		},
		Again: func(r *http.Request, err error) bool {
			var never *unsent
			return r.Method == http.MethodGet || errors.As(err, &never)
		},
		Tries: 4, Busy: 4, Answer: 16 << 20, Call: cfg.Waits.Call, Pause: cfg.Waits.Backoff,
		Agent: "fleetctl", RequestID: "Cf-Ray", Log: cfg.Log,
	})
}
