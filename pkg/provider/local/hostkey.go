package local

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshserver"
)

// newHostKey makes the SSH identity of a box and returns its public half in
// authorized_keys form.
func newHostKey(path string) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), boxsim.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

func readHostKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the box's own key
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("host key: %s: %w", path, err)
	}
	return key, nil
}

// readKeys reads who may log in. Nobody may as long as there is no file.
func readKeys(path string) ([]ssh.PublicKey, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the fleet's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := sshserver.ParseAuthorizedKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// answers checks that SSH at addr shows the host key.
func answers(ctx context.Context, addr string, want ssh.PublicKey) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	shown := false
	_, _, _, err = ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: boxUser,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if string(key.Marshal()) != string(want.Marshal()) {
				return errors.New("another host key answers")
			}
			shown = true
			return nil
		},
	})
	if shown {
		return nil // and then it asks for a key that we do not have
	}
	return fmt.Errorf("ssh: %w", err)
}
