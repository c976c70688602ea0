package digitalocean

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire"
)

// levelTrace is below debug: every request.
const levelTrace = slog.LevelDebug - 4

// Bounds of one call.
const (
	tries     = 4 // of a request that may be sent again
	busyTries = 6 // of any request that was refused for its rate
)

// transport sends requests with the token, at the provider's pace. It sends again what can
// be sent twice: GET, PUT and DELETE after a 5xx or when no answer came. A POST goes out
// again only after a 429, which refuses it before anything was done.
type transport struct{ *apiwire.Transport }

// unsent is an error of a request that never left; answer is a body that was read.
type (
	unsent = apiwire.Unsent
	answer = apiwire.Answer
)

func newTransport(cfg Config, base *url.URL) *transport {
	pace := newPace(cfg.Waits, cfg.Log)
	return &transport{apiwire.New(apiwire.Config{
		Base: cfg.Transport, Host: base.Host, Secret: cfg.Token, Wait: pace.wait, Heard: pace.heard,
		Again: func(r *http.Request, _ error) bool { return r.Method != http.MethodPost },
		Tries: tries, Busy: busyTries, Answer: 32 << 20, Call: cfg.Waits.Call, Pause: cfg.Waits.Backoff,
		RequestID: "X-Request-Id", Log: cfg.Log,
	})}
}

// writes counts the requests that are over and may have changed something.
func (t *transport) writes() uint64 { return t.Writes() }

// where says where the token comes from.
func (t *transport) where() string { return t.From() }

// delay is the pause after a try.
func (t *transport) delay(try int) time.Duration { return t.Delay(try) }
