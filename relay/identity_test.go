package relay

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The peer ID of the seed 01 02 … 20, derived with openssl and base58 by hand.
const knownID = "12D3KooWJ1TsijH7H5F74hfAD5XishQz3sxrmAtVY37GtNd9CqYf"

func knownSeed() []byte {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i + 1)
	}
	return seed
}

func knownPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(knownSeed()))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestIdentity_RawSeedAndPEMAreTheSamePeerAndAreTightened(t *testing.T) {
	for name, text := range map[string][]byte{"seed": knownSeed(), "PEM": knownPEM(t)} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, keyFile)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		id, err := CreateIdentity(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if id.ID.String() != knownID {
			t.Errorf("%s: peer ID = %s, want %s", name, id.ID, knownID)
		}
		for path, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: mode of %s = %v %v, want %o", name, path, info.Mode(), err, want)
			}
		}
		if got := read(t, path); got != string(text) {
			t.Errorf("%s: node.key was rewritten", name)
		}
		if got := read(t, filepath.Join(dir, peerIDFile)); got != knownID+"\n" {
			t.Errorf("%s: peer-id.txt = %q", name, got)
		}
		public := ed25519.NewKeyFromSeed(knownSeed()).Public().(ed25519.PublicKey)
		if got := read(t, filepath.Join(dir, pubFile)); got != string(public) {
			t.Errorf("%s: node.pub = %x, want %x", name, got, public)
		}
	}
}

func TestIdentity_IsMadeOnceAndNothingElseIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := LoadIdentity(dir); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("LoadIdentity of nothing = %v, want ErrNoIdentity", err)
	}
	if exists(dir) {
		t.Error("LoadIdentity made the directory")
	}
	one, err := CreateIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	two, err := CreateIdentity(dir)
	if err != nil || two.ID != one.ID {
		t.Errorf("second CreateIdentity = %s %v, want %s", two.ID, err, one.ID)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("files = %v %v, want node.key, node.pub and peer-id.txt", files, err)
	}
}

func TestIdentity_ALostOrSwappedKeyIsNeverReplacedSilently(t *testing.T) {
	dir := t.TempDir()
	if _, err := CreateIdentity(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, keyFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := CreateIdentity(dir)
	var explained *HintError
	if !errors.Is(err, ErrNoIdentity) || !errors.As(err, &explained) {
		t.Errorf("lost: %v, want ErrNoIdentity with a hint", err)
	}
	if exists(path) {
		t.Error("a lost identity was replaced")
	}
	write(t, path, string(knownSeed()))
	_, err = CreateIdentity(dir)
	if err == nil || !strings.Contains(err.Error(), "peer-id.txt says") || !errors.As(err, &explained) {
		t.Errorf("swapped: %v, want an error with a hint", err)
	}
}

func TestIdentity_ADamagedKeyStopsTheStartWithAHint(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":      "",
		"short":      "0123456789012345678901234567890",
		"long":       "012345678901234567890123456789012",
		"zeros":      strings.Repeat("\x00", 32),
		"huge":       strings.Repeat("a", 1<<20),
		"public":     string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})),
		"other kind": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"cut":        string(knownPEM(t)[:60]),
		"tail":       string(knownPEM(t)) + "x",
	} {
		cfg := loopback(t)
		path := filepath.Join(cfg.State, keyFile)
		write(t, path, text)
		_, err := New(cfg, nil)
		var explained *HintError
		if err == nil || !errors.As(err, &explained) || !strings.Contains(explained.Hint, "backup") {
			t.Errorf("%s: New = %v, want an error whose hint says what to do", name, err)
		}
		if got := read(t, path); got != text {
			t.Errorf("%s: the damaged key was changed", name)
		}
	}
}

func TestLock_TwoRelaysNeverShareAStateDirectory(t *testing.T) {
	cfg := loopback(t)
	r, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(cfg, nil)
	var explained *HintError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &explained) {
		t.Errorf("second New = %v, want ErrLocked with a hint", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(cfg, nil)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(knownSeed())
	f.Add(knownPEM(f))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		seed, err := parseKey(text)
		if err != nil {
			return
		}
		if len(seed) != ed25519.SeedSize {
			t.Errorf("seed of %d bytes", len(seed))
		}
		if _, err := newIdentity(bytes.Clone(seed)); err != nil {
			t.Error(err)
		}
	})
}
