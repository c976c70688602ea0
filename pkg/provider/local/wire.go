package local

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

	"github.com/relayfleet/fleetctl/fleet"
)

// The supervisor's paths. They and what goes over them only grow: a newer fleetctl may
// find an older supervisor.
const (
	pathInfo     = "/v1/supervisor"
	pathStop     = "/v1/stop"
	pathKey      = "/v1/key"
	pathMachines = "/v1/machines"
	pathStart    = "/v1/start"
	pathDelete   = "/v1/delete"
	pathMark     = "/v1/mark"
)

// Bounds in bytes: of what the supervisor takes, and of what it says (1,000 boxes are 1 MB).
const (
	maxRequest = 1 << 20
	maxAnswer  = 64 << 20
)

// request is what every path but the first takes.
type request struct {
	ID    string            `json:"id,omitempty"`
	Key   string            `json:"key,omitempty"`
	Order *order            `json:"order,omitempty"`
	Set   map[string]string `json:"set,omitempty"`
	Unset []string          `json:"unset,omitempty"`
}

// answer is what every path gives.
type answer struct {
	Error     string          `json:"error,omitempty"`
	Hint      string          `json:"hint,omitempty"`
	NoMachine bool            `json:"no_machine,omitempty"` // the error is fleet.ErrNoMachine
	Ending    bool            `json:"ending,omitempty"`     // the supervisor is about to end
	Info      *info           `json:"info,omitempty"`
	Machines  []fleet.Machine `json:"machines,omitempty"`
}

// errEnding is what a supervisor says that is about to end.
var errEnding = errors.New("the supervisor is ending")

// handler answers the provider. Work that has begun goes on when the caller is killed.
func (s *Supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, f func(context.Context, request) (answer, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			a, err := s.handle(r, f)
			if err != nil {
				a = answer{Error: err.Error(), Hint: fleet.Hint(err), NoMachine: errors.Is(err, fleet.ErrNoMachine), Ending: errors.Is(err, errEnding)}
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(a)
		})
	}
	handle(pathInfo, func(context.Context, request) (answer, error) { return answer{Info: &info{Dir: s.cfg.Dir}}, nil })
	handle(pathStop, func(context.Context, request) (answer, error) { return answer{}, s.halt() })
	handle(pathKey, func(_ context.Context, r request) (answer, error) { return answer{}, s.ensureKey(r.Key) })
	handle(pathMachines, func(ctx context.Context, r request) (answer, error) {
		if r.Order != nil {
			m, err := s.createBox(ctx, *r.Order)
			return answer{Machines: []fleet.Machine{m}}, err
		}
		ms, err := s.machines()
		return answer{Machines: ms}, err
	})
	handle(pathStart, func(ctx context.Context, r request) (answer, error) { return answer{}, s.startBox(ctx, r.ID) })
	handle(pathDelete, func(ctx context.Context, r request) (answer, error) { return answer{}, s.deleteBox(ctx, r.ID) })
	handle(pathMark, func(_ context.Context, r request) (answer, error) { return answer{}, s.markBox(r.ID, r.Set, r.Unset) })
	return mux
}

func (s *Supervisor) handle(r *http.Request, f func(context.Context, request) (answer, error)) (answer, error) {
	s.mu.Lock()
	ending := s.ending
	s.mu.Unlock()
	if ending {
		return answer{}, errEnding
	}
	var req request
	if err := json.NewDecoder(io.LimitReader(r.Body, maxRequest)).Decode(&req); err != nil {
		return answer{}, fmt.Errorf("request: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.cfg.StopGrace+time.Minute)
	defer cancel()
	return f(ctx, req)
}

// said is an error of the supervisor as its caller sees it.
type said struct {
	text, hint string
	cause      error // a sentinel, or nil
}

func (e *said) Error() string { return e.text }
func (e *said) Hint() string  { return e.hint }
func (e *said) Unwrap() error { return e.cause }

func (a answer) err() error {
	switch {
	case a.Error == "":
		return nil
	case a.NoMachine:
		return &said{a.Error, a.Hint, fleet.ErrNoMachine}
	case a.Ending:
		return &said{a.Error, a.Hint, errEnding}
	}
	return &said{a.Error, a.Hint, nil}
}

// post asks the supervisor that listens on a socket. An error that is no [*said] means
// that it did not answer.
func post(ctx context.Context, socket, path string, req request) (answer, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return answer{}, err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://supervisor"+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("the supervisor's answer: %w", err)
	}
	return a, a.err()
}
