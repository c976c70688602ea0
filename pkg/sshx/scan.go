package sshx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
)

// errScanned ends every handshake of a scan: nothing is trusted and nothing more is said.
var errScanned = errors.New("host key seen")

// Scan asks which host keys the server at an address shows, without logging in and without trusting
// any: Ed25519, ECDSA and RSA, those that it has, in this order and in authorized_keys form. The pins of the box
// itself are not looked at; its jump hosts are logged into as ever. Whoever pins what a scan returned has compared its
// fingerprint with one from elsewhere. Each key takes a connection, bounded by Config.DialTimeout and HandshakeTimeout.
func (c *Client) Scan(ctx context.Context, at Target) ([]string, error) {
	if _, err := routeTo(at); err != nil {
		return nil, err
	}
	var found []string
	for _, family := range [][]string{
		{ssh.KeyAlgoED25519},
		{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
		{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	} {
		key, err := c.scan(ctx, at, family)
		if err != nil {
			return nil, err // unknown is not absent
		}
		if key != nil {
			found = append(found, AuthorizedKey(key))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: scan: the server has no host key of a type that we accept", subject(at.Name, at.Addr))
	}
	return found, nil
}

// scan returns the server's key for these algorithms, nil if it has none.
func (c *Client) scan(ctx context.Context, at Target, algorithms []string) (ssh.PublicKey, error) {
	nc, err := c.reach(ctx, at)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.HandshakeTimeout, errScanTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	defer func() { _ = nc.Close() }()
	var (
		mu  sync.Mutex
		key ssh.PublicKey
	)
	_, _, _, err = ssh.NewClientConn(nc, at.Addr, &ssh.ClientConfig{
		User: "nobody", // and never sent: the login comes after the host key
		HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
			mu.Lock()
			defer mu.Unlock()
			key = shown
			return errScanned
		},
		HostKeyAlgorithms: algorithms,
		ClientVersion:     clientVersion,
	})
	mu.Lock()
	defer mu.Unlock()
	var none *ssh.AlgorithmNegotiationError
	switch {
	case key != nil:
		return key, nil
	case errors.As(err, &none) && none.What == "host key":
		return nil, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return nil, &TransportError{Node: at.Name, Addr: at.Addr, Op: "scan", Err: err}
}

var errScanTimeout = fmt.Errorf("no host key within the handshake's time: %w", context.DeadlineExceeded)
