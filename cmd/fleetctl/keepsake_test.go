package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// The peer ID of the seed 00 01 … 1f, as go-libp2p makes it.
const countingPeer = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"

func countingSeed() []byte {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	return seed
}

func TestPeerID_IsTheOneThatLibp2pMakesOfTheKey(t *testing.T) {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(countingSeed()))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{
		"a raw seed": countingSeed(),
		"PKCS#8 PEM": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if got, err := peerIDOf(key); err != nil || got != countingPeer {
			t.Errorf("%s: got %q (%v), want %s", name, got, err, countingPeer)
		}
	}
}

func TestPeerID_AnErrorDoesNotQuoteTheKey(t *testing.T) {
	secret := "hunter2-hunter2-hunter2"
	for _, key := range []string{secret, "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n", ""} {
		if id, err := peerIDOf([]byte(key)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("peer ID: got %q (%v), want an error without the key", id, err)
		}
	}
}

// keyedBox is a box whose relay's key is this, and its machine.
func keyedBox(t *testing.T, key []byte) (sshx.Runner, fleet.Machine) {
	t.Helper()
	dir := t.TempDir()
	state := filepath.Join(dir, "var", "lib", "relay")
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if key != nil {
		if err := os.WriteFile(filepath.Join(state, nodeKeyFile), key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	box := sshtest.Start(t, sshtest.WithDir(dir))
	return sshtest.Client(t, sshx.Config{}, box), machineAt(t, box)
}

func TestKeepsake_TakesOnlyTheKeyOfThePeerThatTheRelayIs(t *testing.T) {
	seen := fleet.Observed[fleet.Relay]{Value: fleet.Relay{Installed: true, PeerID: countingPeer}}
	for name, c := range map[string]struct {
		key   []byte
		relay fleet.Observed[fleet.Relay]
		want  string // in the error, "" for none
	}{
		"its own":             {countingSeed(), seen, ""},
		"another's":           {bytes.Repeat([]byte{7}, 32), seen, "is the key of 12D3KooW"},
		"damaged":             {[]byte("short"), seen, "5 bytes are no Ed25519 key"},
		"none":                {nil, seen, "file does not exist"},
		"far too long":        {make([]byte, maxNodeKey+1), seen, sshx.ErrTooLarge.Error()},
		"of a box in silence": {countingSeed(), fleet.Observed[fleet.Relay]{Err: errors.New("no answer")}, "cannot be read: no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runner, m := keyedBox(t, c.key)
			id := fetchIdentity(t.Context(), runner, m, c.relay)
			if c.want == "" {
				if id.err != nil || !bytes.Equal(id.key, c.key) {
					t.Errorf("identity: got %q (%v), want the key", id.key, id.err)
				}
				return
			}
			if id.err == nil || !strings.Contains(id.err.Error(), c.want) {
				t.Errorf("error: got %v, want %q in it", id.err, c.want)
			}
		})
	}
}

func TestKeepsake_WritesWhatTheRecipientCanRead(t *testing.T) {
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "keys")
	id := identity{node: "nyc1-1", peer: countingPeer, key: countingSeed()}
	if err := writeIdentities(dir, []identity{id}, []age.Recipient{own.Recipient()}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "nyc1-1."+countingPeer+".age")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v (%v), want 0600", info.Mode(), err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := age.Decrypt(f, own)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, countingSeed()) {
		t.Errorf("decrypted: got %x (%v), want the key", got, err)
	}
}

func TestKeepsake_WritesAllOrNothingAndOverNothing(t *testing.T) {
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	there := filepath.Join(dir, "b.x.age")
	if err := os.WriteFile(there, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []identity{{node: "a", peer: "x", key: countingSeed()}, {node: "b", peer: "x", key: countingSeed()}}
	if err := writeIdentities(dir, all, []age.Recipient{own.Recipient()}); err == nil || !strings.Contains(err.Error(), "b.x.age is there already") {
		t.Errorf("error: got %v, want one that names the file", err)
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "older" {
		t.Errorf("the file that was there: got %q (%v), want it untouched", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.x.age")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a: got %v, want it gone again", err)
	}
}

func TestRecipients_AreKeysOrFilesAndNeverSecrets(t *testing.T) {
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public := own.Recipient().String()
	a, _, _ := testApp(t)
	ssh := sshx.AuthorizedKey(sshtest.NewSigner().PublicKey())
	for name, text := range map[string]string{
		"list.txt": "# us\n" + public + "\n\n" + ssh + " ops@example.net\n",
		"secret":   own.String() + "\n",
		"openssh":  "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n",
		"empty":    "# nobody\n",
		"other":    "hello\n",
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		words []string
		count int
		want  string // in the error, "" for none
	}{
		"an age key":            {[]string{public}, 1, ""},
		"an SSH key":            {[]string{ssh}, 1, ""},
		"a file":                {[]string{"list.txt"}, 2, ""},
		"a file at home":        {[]string{"~/list.txt"}, 2, ""},
		"a key and a file":      {[]string{public, "list.txt"}, 3, ""},
		"a secret key":          {[]string{own.String()}, 0, "secret key"},
		"a file of a secret":    {[]string{"secret"}, 0, "secret key"},
		"a private SSH key":     {[]string{"openssh"}, 0, "secret key"},
		"a key, then nobody":    {[]string{public, "empty"}, 0, "no key is in it"},
		"an empty file":         {[]string{"empty"}, 0, "no key is in it"},
		"a file of other words": {[]string{"other"}, 0, "neither an age nor an SSH public key"},
		"no file":               {[]string{"nowhere"}, 0, "no such file"},
		"a directory":           {[]string{"."}, 0, "not a file"},
		"a damaged key":         {[]string{public[:20]}, 0, "age1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := a.ageRecipients(c.words)
			if c.want == "" {
				if err != nil || len(got) != c.count {
					t.Errorf("recipients: got %d (%v), want %d", len(got), err, c.count)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: got %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(strings.ToUpper(err.Error()), "AGE-SECRET-KEY-") {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestPassphrase_HasToBeTypedTwice(t *testing.T) {
	for typed, ok := range map[string]bool{"horse\nhorse\n": true, "horse\nhouse\n": false, "\n\n": false, "horse\n": false} {
		a, _, _ := testApp(t)
		onTerminal(a, strings.NewReader(typed))
		if _, err := a.askPassphrase(t.Context()); (err == nil) != ok {
			t.Errorf("typed %q: got %v, want accepted %t", typed, err, ok)
		}
	}
}
