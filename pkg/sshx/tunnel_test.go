package sshx_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

const api = "127.0.0.1:9847"

// listen serves each connection on loopback with f.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

func TestTunnel_CarriesHTTP(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer far.Close()
	box := sshtest.Start(t, sshtest.WithTunnel(api, strings.TrimPrefix(far.URL, "http://")))
	c := sshtest.Client(t, sshx.Config{}, box)
	conn, err := c.Dial(within(t), box.Target("nyc1-1"), api)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != api {
		t.Errorf("remote address %s, want %s", got, api)
	}
	body := bytes.Repeat([]byte("bytes"), 100_000)
	req, _ := http.NewRequestWithContext(within(t), http.MethodPost, "http://box/", bytes.NewReader(body))
	tr := &http.Transport{DisableKeepAlives: true, Dial: func(string, string) (net.Conn, error) { return conn, nil }}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("got %d bytes, %v; want the %d sent", len(got), err, len(body))
	}
}

func TestTunnel_DeadlinesWork(t *testing.T) {
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	box := sshtest.Start(t, sshtest.WithTunnel(api, silent))
	c := sshtest.Client(t, sshx.Config{}, box)
	conn, err := c.Dial(within(t), box.Target("nyc1-1"), api)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want os.ErrDeadlineExceeded", err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Errorf("write after a read deadline: %v", err)
	}
}

func TestTunnel_WriteDeadlineEndsAWriteThatNobodyReads(t *testing.T) {
	release := make(chan struct{})
	deaf := listen(t, func(net.Conn) { <-release })
	t.Cleanup(func() { close(release) })
	box := sshtest.Start(t, sshtest.WithTunnel(api, deaf))
	c := sshtest.Client(t, sshx.Config{}, box)
	conn, err := c.Dial(within(t), box.Target("nyc1-1"), api)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	chunk := make([]byte, 1<<20)
	for err == nil {
		_, err = conn.Write(chunk)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestTunnel_EndsWithTheFarSideAndLeaksNothing(t *testing.T) {
	hello := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "hello") })
	box := sshtest.Start(t, sshtest.WithTunnel(api, hello), sshtest.WithExec(shell))
	c := sshtest.Client(t, sshx.Config{}, box)
	if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	for range 3 {
		conn, err := c.Dial(within(t), box.Target("nyc1-1"), api)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v; want hello", got, err)
		}
		for range 2 {
			_ = conn.Close()
		}
	}
	goleak.VerifyNone(t, before)
}

func TestTunnel_OnlyWhereTheBoxAllows(t *testing.T) {
	box := sshtest.Start(t, sshtest.WithExec(shell), sshtest.WithTunnel("127.0.0.1:1", "127.0.0.1:1"))
	c := sshtest.Client(t, sshx.Config{}, box)
	for _, remote := range []string{"127.0.0.1:22", "192.0.2.1:80", "127.0.0.1:1", "nonsense", "127.0.0.1:99999"} {
		if _, err := c.Dial(within(t), box.Target("nyc1-1"), remote); !errors.Is(err, sshx.ErrTransport) {
			t.Errorf("dial %s: %v, want ErrTransport", remote, err)
		}
	}
	if _, err := c.Run(within(t), box.Target("nyc1-1"), echo); err != nil || box.Dials() != 1 {
		t.Errorf("after refusals: %v with %d connections, want none lost", err, box.Dials())
	}
}
