package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// piped is a listener whose connections are pipes: they know the time of a bubble.
type piped struct {
	conns chan net.Conn
	ended chan struct{}
}

func (p piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p piped) Close() error {
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
	return nil
}

func (p piped) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestServe_AConnectionThatSaysNothingIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		says   string
		within time.Duration
	}{
		"nothing":              {"", 10 * time.Second},
		"half a request line":  {"GET / HT", 10 * time.Second},
		"heads without an end": {"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", 10 * time.Second},
		"a body without end":   {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken=", 30 * time.Second},
		"one request":          {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				listener, ended := piped{make(chan net.Conn), make(chan struct{})}, make(chan error, 1)
				d := door{log: slog.New(slog.DiscardHandler)}
				go func() {
					ended <- d.answer(ctx, listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body) // as one that reads a form
					}))
				}()
				client, server := net.Pipe()
				listener.conns <- server
				begun := time.Now()
				go func() { _, _ = io.WriteString(client, c.says) }()
				if _, err := io.Copy(io.Discard, client); err != nil {
					t.Errorf("the connection ended with %v", err)
				}
				if took := time.Since(begun); took != c.within {
					t.Errorf("the connection was closed after %s, want %s", took, c.within)
				}
				_ = client.Close()
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("serve ended with %v, want that it was told to", err)
				}
			})
		})
	}
}

// certify writes a key pair with a serial number and a file time, and returns its paths.
func certify(t *testing.T, dir string, serial int64, at time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"fleet.example.test"}, NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestServe_ACertificateThatIsRenewedIsShownWithoutARestart(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	cert, key := certify(t, dir, 1, now)
	a, _, _ := testApp(t)
	d, err := a.openDoor(serveFlags{listen: defaultListen, tlsCert: cert, tlsKey: key})
	if err != nil {
		t.Fatal(err)
	}
	shows := func(when string, want int64) {
		t.Helper()
		pair, err := d.tls.GetCertificate(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != want || d.certificate().SerialNumber.Int64() != want {
			t.Errorf("%s: certificate %v is shown (%v), want number %d", when, pair.Leaf.SerialNumber, err, want)
		}
	}
	shows("at first", 1)
	certify(t, dir, 2, now.Add(time.Minute))
	shows("renewed", 2)
	if err := os.WriteFile(cert, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("while it is written", 2)
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	shows("while it is away", 2)
	certify(t, dir, 3, now.Add(2*time.Minute))
	shows("renewed again", 3)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := a.openDoor(serveFlags{listen: defaultListen, tlsCert: cert, tlsKey: key}); err == nil {
		t.Error("serve starts with a certificate without its key, want an error")
	}
}
