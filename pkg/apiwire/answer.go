package apiwire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Answer is a body that was read already and can be read again.
type Answer struct {
	*bytes.Reader
	Text []byte // all of it
}

// Close does nothing: there is nothing open.
func (Answer) Close() error { return nil }

// buffer reads an answer to its end, so that its deadline holds for all of it.
func (t *Transport) buffer(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, t.cfg.Answer+1))
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case int64(len(text)) > t.cfg.Answer:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrTooLong, t.cfg.Answer)
	}
	resp.Body = Answer{bytes.NewReader(text), text}
	return nil
}

// trace logs a request: never a header that was sent, never a body.
func (t *Transport) trace(ctx context.Context, r *http.Request, resp *http.Response, err error, took time.Duration) {
	if !t.cfg.Log.Enabled(ctx, levelTrace) {
		return
	}
	facts := []any{slog.String("method", r.Method), slog.String("path", r.URL.RequestURI()), slog.Duration("took", took.Round(time.Millisecond))}
	if err != nil {
		facts = append(facts, slog.Any("error", err))
	} else {
		facts = append(facts, slog.Int("status", resp.StatusCode), slog.String("request_id", word(resp.Header.Get(t.cfg.RequestID))))
	}
	t.cfg.Log.Log(ctx, levelTrace, "request", facts...)
}

// word is the printable beginning of what somebody else calls a request.
func word(text string) string {
	const most = 80
	text = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, text)
	return text[:min(most, len(text))]
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
