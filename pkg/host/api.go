package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

const (
	apiTimeout = 10 * time.Second
	apiLimit   = stats.MaxReport // bytes of one answer
)

// errTooMuch is an answer beyond its bound.
var errTooMuch = errors.New("the answer is larger than allowed")

// api asks the daemon of one box over the tunnel. Answers come over parallel
// connections, so that they take one round trip together.
type api struct {
	client *http.Client
	close  func()
}

func (b box) api() api {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.tunnel.Dial(ctx, b.at, API)
		},
		DisableCompression:     true, // a small answer must not unpack to a large one
		MaxResponseHeaderBytes: 32 << 10,
		ResponseHeaderTimeout:  apiTimeout, // the body of a long answer may take longer
	}
	return api{
		client: &http.Client{
			Transport: t,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return errors.New("it answers with a redirect")
			},
		},
		close: t.CloseIdleConnections,
	}
}

// answer is what the daemon said to one question.
type answer struct {
	status int
	body   []byte
	err    error
	at     time.Time // when all of it was there
}

// get asks for one path and reads the answer, at most apiLimit bytes.
func (a api) get(ctx context.Context, path string) answer {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+API+path, nil)
	if err != nil {
		return answer{err: fmt.Errorf("GET %s: %w", path, err)}
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{err: fmt.Errorf("GET %s: %s", path, clean(errors.Unwrap(err).Error(), 300))}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, apiLimit+1))
	switch {
	case err != nil:
		return answer{err: fmt.Errorf("GET %s: %w", path, err)}
	case len(body) > apiLimit:
		return answer{err: fmt.Errorf("GET %s: %w: %d bytes", path, errTooMuch, apiLimit)}
	}
	return answer{status: resp.StatusCode, body: body, at: time.Now()}
}

// decode reads an answer of status 200 into v.
func (a answer) decode(path string, v any) error {
	if a.err != nil {
		return a.err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("GET %s: status %d: %s", path, a.status, clean(string(a.body), 200))
	}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(v); err != nil {
		return fmt.Errorf("GET %s: the answer is not the JSON that is expected: %s", path, clean(err.Error(), 200))
	}
	return nil
}
