package host

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// body is an answer that is being read, decompressed. Whoever reads it bounds it.
type body struct {
	status int
	r      io.Reader
	close  func()
}

// open asks for one path, compressed, and returns as soon as the answer begins.
func (a api) open(ctx context.Context, path string) (body, error) {
	fail := func(err error) (body, error) { return body{}, fmt.Errorf("GET %s: %w", path, err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+API+path, nil)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := a.client.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		return fail(errors.New(clean(errors.Unwrap(err).Error(), 300)))
	}
	b := body{status: resp.StatusCode, r: resp.Body, close: func() { _ = resp.Body.Close() }}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if b.r, err = gzip.NewReader(resp.Body); err != nil {
			b.close()
			return fail(err)
		}
	}
	return b, nil
}

// all reads the body, at most so many bytes.
func (b body) all(most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(b.r, most+1))
	if int64(len(text)) > most {
		return text[:most], fmt.Errorf("%w: %d bytes", errTooMuch, most)
	}
	return text, err
}

// compressed is get for an answer that is worth compressing.
func (a api) compressed(ctx context.Context, path string) answer {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	b, err := a.open(ctx, path)
	if err != nil {
		return answer{err: err}
	}
	defer b.close()
	text, err := b.all(apiLimit)
	if err != nil {
		return answer{err: fmt.Errorf("GET %s: %w", path, err)}
	}
	return answer{status: b.status, body: text, at: time.Now()}
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
