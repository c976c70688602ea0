package sshx

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPins_AddrsAreThoseThatWerePinned(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_hosts")
	pins, err := OpenPins(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pins.Addrs(); err != nil || len(got) != 0 {
		t.Errorf("no file: got %q, %v, want none", got, err)
	}
	_, key, err := NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"198.18.0.1:22", "198.18.0.2:2222", "[2001:db8::1]:22", "[2001:db8::2]:2222", "box.example.net:22"}
	for _, addr := range want {
		if err := pins.Set(addr, key, second); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("# a comment\n*.example.org " + key + "\n|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + key + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := pins.Addrs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
