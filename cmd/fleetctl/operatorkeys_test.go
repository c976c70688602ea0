package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func TestOperatorKeys_FilesAndKeysAreReadAndFingerprintsAreLeftToTheProvider(t *testing.T) {
	dir := t.TempDir()
	key, err := sshx.GenerateKey(filepath.Join(dir, "id"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "id.pub"), []byte(key.PublicKey+" me@here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{dir: dir, env: func(name string) (string, bool) { return dir, name == "HOME" }}
	s := fleet.Spec{Ocean: fleet.OceanSpec{SSHKeys: []string{
		"~/id.pub", key.PublicKey, "SHA256:uNiVztksCsDhcc0u9e8BrrobuGCVqLEgQnU9yWxfeYo",
		"3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa",
		"MD5:3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa", // as ssh-keygen -E md5 -l prints it
	}}}
	public, private, err := a.operatorKeys(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := key.PublicKey + " me@here"; len(public) != 2 || public[0] != want || public[1] != key.PublicKey {
		t.Errorf("public keys: got %q", public)
	}
	if len(private) != 1 || private[0] != filepath.Join(dir, "id") {
		t.Errorf("private keys beside them: got %q", private)
	}
}

func TestOperatorKeys_AMissingFileAndAPrivateKeyAreNamedAndNeverShown(t *testing.T) {
	dir := t.TempDir()
	if _, err := sshx.GenerateKey(filepath.Join(dir, "id")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "id"))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{dir: dir, env: func(string) (string, bool) { return "", false }}
	for entry, want := range map[string]string{"id": "this is a private key", "nobody.pub": "no such file", ".": "not a public key file"} {
		_, _, err := a.operatorKeys(fleet.Spec{Ocean: fleet.OceanSpec{SSHKeys: []string{entry}}})
		if err == nil || !strings.Contains(err.Error(), "digitalocean.ssh_keys[0]: "+entry+": "+want) {
			t.Errorf("%s: got %v, want %q", entry, err, want)
		}
		if err != nil && strings.Contains(err.Error(), string(text[50:80])) {
			t.Errorf("%s: the error shows the key", entry)
		}
	}
}

func TestOperatorKeys_APrivateKeyInThePlaceOfAPublicOneIsNotRepeated(t *testing.T) {
	const secret = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v"
	a := &app{dir: t.TempDir(), env: func(string) (string, bool) { return "", false }}
	entry := "-----BEGIN PRIVATE KEY----- " + secret + "VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g -----END PRIVATE KEY-----"
	_, _, err := a.operatorKeys(fleet.Spec{Ocean: fleet.OceanSpec{SSHKeys: []string{entry}}})
	if err == nil || !strings.Contains(err.Error(), "digitalocean.ssh_keys[0]") || !strings.Contains(err.Error(), "private key") {
		t.Errorf("got %v, want an error that says that it is a private key", err)
	}
	if err != nil && strings.Contains(err.Error()+fleet.Hint(err), secret) {
		t.Errorf("the error repeats the key: %v", err)
	}
}
