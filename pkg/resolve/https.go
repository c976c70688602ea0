package resolve

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// mediaType of a DNS message in HTTP.
const mediaType = "application/dns-message"

// https asks by one HTTP request.
func (r *round) https(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, or(r.client.Stream, streamTimeout))
	defer cancel()
	q, text, err := r.pack()
	if err != nil {
		return err
	}
	request, err := r.request(ctx, text)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: r.client.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.answer.Queries++
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != mediaType {
		return errors.New("the body is no DNS message")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMessage+1))
	if err != nil {
		return err
	}
	if len(body) > maxMessage {
		return errors.New("the body is longer than a DNS message")
	}
	m, err := unpack(body, q)
	if err != nil {
		return err
	}
	if m.Truncated {
		return errors.New("the answer is cut off")
	}
	r.take(m, HTTPS, len(body))
	r.age(response.Header.Get("Age"))
	return nil
}

func (r *round) request(ctx context.Context, text []byte) (*http.Request, error) {
	method, url, body := http.MethodPost, r.server.URL, io.Reader(bytes.NewReader(text))
	if r.client.Get {
		method, body = http.MethodGet, nil
		url += "?dns=" + base64.RawURLEncoding.EncodeToString(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", mediaType)
	if !r.client.Get {
		request.Header.Set("Content-Type", mediaType)
	}
	return request, nil
}

// age takes off the TTLs what an HTTP cache has used of them already, RFC 8484 section 5.1.
func (r *round) age(header string) {
	secs, err := strconv.ParseUint(header, 10, 31)
	if err != nil {
		return
	}
	for i := range r.answer.Records {
		ttl := &r.answer.Records[i].TTL
		*ttl = max(0, *ttl-time.Duration(secs)*time.Second)
	}
}
