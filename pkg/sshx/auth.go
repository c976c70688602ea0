package sshx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Auth is what the client logs in with. All that is set is offered: the box's own
// Target.KeyFile, Signers, the key file, then the agent's keys.
type Auth struct {
	// KeyFile is a private key, readable by its owner only; empty means none.
	KeyFile string
	// Passphrase is asked once for each protected key file; nil leaves such a file to the agent.
	Passphrase func(ctx context.Context, keyFile string) ([]byte, error)
	// AgentSocket is the value of SSH_AUTH_SOCK; empty means no agent.
	AgentSocket string
	// Signers are keys in memory.
	Signers []ssh.Signer
}

const agentHint = "start ssh-agent and ssh-add the key, or name a key file"

// keyring loads each key file once and asks the agent at each login.
type keyring struct {
	auth Auth

	mu     sync.Mutex
	loaded map[string]loadedKey // by path
}

// loadedKey is what became of a key file. A key of nil is left to the agent.
type loadedKey struct {
	key ssh.Signer
	err error
}

// files returns the signers that need no agent; own is a box's key file, or empty. A failure is
// remembered, so that a wrong passphrase is not asked for again by every box.
func (r *keyring) files(ctx context.Context, own string) ([]ssh.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []ssh.Signer
	add := func(file string) error {
		s, err := r.file(ctx, file)
		if s != nil {
			keys = append(keys, s)
		}
		return err
	}
	if own != "" {
		if err := add(own); err != nil {
			return nil, err
		}
	}
	keys = append(keys, r.auth.Signers...)
	if file := r.auth.KeyFile; file != "" && file != own {
		if err := add(file); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 && r.auth.AgentSocket == "" {
		return nil, &AuthError{Err: errors.New("there is none to log in with"), hint: agentHint}
	}
	return keys, nil
}

// file returns the key of a file; r.mu is held.
func (r *keyring) file(ctx context.Context, path string) (ssh.Signer, error) {
	if known, ok := r.loaded[path]; ok {
		return known.key, known.err
	}
	s, err := r.load(ctx, path)
	if err != nil && ctx.Err() != nil {
		return nil, err // the operator left the question: the next dial may ask again
	}
	if r.loaded == nil {
		r.loaded = map[string]loadedKey{}
	}
	r.loaded[path] = loadedKey{s, err}
	return s, err
}

// load reads a key file. A protected one without a passphrase is left to the agent, if there is one.
func (r *keyring) load(ctx context.Context, file string) (ssh.Signer, error) {
	raw, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKey(raw)
	var protected *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return s, nil
	case !errors.As(err, &protected):
		return nil, &AuthError{Err: fmt.Errorf("%s: %w", file, err), hint: "name a private key file, not its .pub half"}
	case r.auth.Passphrase == nil && r.auth.AgentSocket != "":
		return nil, nil
	case r.auth.Passphrase == nil:
		return nil, &AuthError{Err: fmt.Errorf("%s: %w", file, err), hint: "ssh-add the key to an ssh-agent"}
	}
	phrase, err := r.auth.Passphrase(ctx, file)
	if err != nil {
		return nil, &AuthError{Err: fmt.Errorf("%s: passphrase: %w", file, err)}
	}
	defer clear(phrase)
	s, err = ssh.ParsePrivateKeyWithPassphrase(raw, phrase)
	if err != nil {
		return nil, &AuthError{Err: fmt.Errorf("%s: %w", file, err), hint: "run the command again with the right passphrase"}
	}
	return s, nil
}

// maxKeyFile is far above any private key, in bytes.
const maxKeyFile = 64 << 10

// readPrivate reads a private key file that nobody else may read.
func readPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &AuthError{Err: err, hint: "make the key, or name another file"}
	case err != nil:
		return nil, &AuthError{Err: err}
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, &AuthError{Err: fmt.Errorf("%s: not a private key file", file), hint: "name a private key file"}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, &AuthError{
			Err:  fmt.Errorf("%s: mode %#o lets others read it", file, info.Mode().Perm()),
			hint: "run: chmod 600 " + file,
		}
	}
	raw, err := os.ReadFile(file) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, &AuthError{Err: err}
	}
	return raw, nil
}

// agent connects to the agent for one login. Without one, and after a failure, its signers
// are only those of the files.
func (r *keyring) agent(ctx context.Context) *agentLogin {
	l := &agentLogin{}
	if r.auth.AgentSocket == "" {
		return l
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", r.auth.AgentSocket)
	if err != nil {
		l.err = fmt.Errorf("ssh-agent: %w", err)
		return l
	}
	l.conn = nc
	return l
}

// agentLogin is the agent's part in one login.
type agentLogin struct {
	conn net.Conn // nil without an agent

	mu    sync.Mutex
	err   error
	count int
}

func (l *agentLogin) signers(files []ssh.Signer) func() ([]ssh.Signer, error) {
	return func() ([]ssh.Signer, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		all := append([]ssh.Signer(nil), files...)
		if l.conn != nil {
			held, err := agent.NewClient(l.conn).Signers()
			if err != nil {
				l.err = fmt.Errorf("ssh-agent: %w", err)
			}
			all = append(all, held...)
		}
		l.count = len(all)
		if len(all) > 0 {
			l.err = nil // a broken agent matters only when nothing else is there
		} else if l.err == nil {
			l.err = errors.New("ssh-agent holds no key")
		}
		return all, nil
	}
}

func (l *agentLogin) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count > 0 {
		return nil
	}
	return l.err
}

func (l *agentLogin) offered() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf(" (%d offered)", l.count)
}

// close may be called at any time and more than once; it ends a question that is open.
func (l *agentLogin) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}
