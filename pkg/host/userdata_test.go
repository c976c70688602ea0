package host

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// golden compares a text with a file of testdata, and writes it with -args update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if slices.Contains(flag.Args(), "update") {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHvNmUeLIjaYX3wBQ5vDyLgzrOjhvJHVWcLwVnpFmmUa"

func userData(t testing.TB) UserData {
	t.Helper()
	private, public, err := sshx.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	return UserData{User: "fleetctl", Keys: []string{testKey + " ann@desk"}, HostKeyPEM: private, HostKeyPublic: public}
}

func TestUserData_HoldsWhatMustPrecedeSSHAndNothingElse(t *testing.T) {
	u := userData(t)
	u.SSHPort = 2222
	text, err := u.CloudConfig()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "#cloud-config\n") {
		t.Errorf("user data begins %q, want #cloud-config", text[:20])
	}
	var top map[string]any
	if err := yaml.Unmarshal([]byte(text), &top); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(CloudConfigKeys(), slices.Sorted(maps.Keys(top))); diff != "" {
		t.Errorf("top-level keys (-want +got):\n%s", diff)
	}
	var c cloudConfig
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if c.Keys["ed25519_private"] != string(u.HostKeyPEM) || c.Keys["ed25519_public"] != u.HostKeyPublic {
		t.Errorf("host key = %q and %q, want the one given", c.Keys["ed25519_private"], c.Keys["ed25519_public"])
	}
	if !c.DeleteKeys || c.Password || !c.NoRoot || len(c.Users) != 1 || c.Users[0].Keys[0] != testKey+" ann@desk" {
		t.Errorf("user data = %+v, want one user with the key, no passwords, no root, no other host keys", c)
	}
	if c.Files[0].Content != "Port 2222\n" {
		t.Errorf("write_files = %+v, want the port", c.Files)
	}
	u.SSHPort = 22
	if text, err = u.CloudConfig(); err != nil || strings.Contains(text, "write_files") {
		t.Errorf("with port 22: %q, %v; want no file", text, err)
	}
}

func TestUserData_RefusesWhatCannotBeMeant(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*UserData)
		want   string
	}{
		"root":                {func(u *UserData) { u.User = "root" }, "no name for a user"},
		"a user with a colon": {func(u *UserData) { u.User = "a:b" }, "no name for a user"},
		"no key":              {func(u *UserData) { u.Keys = nil }, "nobody could log in"},
		"no public key":       {func(u *UserData) { u.Keys = []string{"-----BEGIN"} }, "SSH key"},
		"options":             {func(u *UserData) { u.Keys = []string{`command="sh" ` + testKey} }, "SSH key"},
		"two lines":           {func(u *UserData) { u.Keys = []string{testKey + "\n" + testKey} }, "SSH key"},
		"no host key":         {func(u *UserData) { u.HostKeyPEM = nil }, "OpenSSH private key"},
		"another PEM":         {func(u *UserData) { u.HostKeyPEM = append(u.HostKeyPEM, "x: y\n"...) }, "OpenSSH private key"},
		"no public half":      {func(u *UserData) { u.HostKeyPublic = "" }, "host key mark"},
		"a port too high":     {func(u *UserData) { u.SSHPort = 65536 }, "port 65536"},
		"64 KiB of keys":      {func(u *UserData) { u.Keys = slices.Repeat(u.Keys, 600) }, "too many SSH keys"},
	} {
		t.Run(name, func(t *testing.T) {
			u := userData(t)
			c.change(&u)
			text, err := u.CloudConfig()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("CloudConfig = %d bytes, %v; want an error that says %q", len(text), err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY---") {
				t.Errorf("the error %q holds the key", err)
			}
		})
	}
}

func FuzzUserData_ACommentStaysAComment(f *testing.F) {
	for _, s := range []string{"ann@desk", "a: b", "'", `"`, "\nruncmd: [reboot]", "#", "- x", "|", "\x00", "\u0085next", "{{ jinja }}", "%", "\u202e", "yes"} {
		f.Add(s)
	}
	base := userData(f)
	f.Fuzz(func(t *testing.T, comment string) {
		u := base
		u.Keys = []string{testKey + " " + comment}
		text, err := u.CloudConfig()
		if err != nil {
			return // refused is fine
		}
		var top map[string]any
		if err := yaml.Unmarshal([]byte(text), &top); err != nil {
			t.Fatalf("comment %q makes no YAML: %v", comment, err)
		}
		for key := range top {
			if !slices.Contains(CloudConfigKeys(), key) {
				t.Errorf("comment %q adds the key %q", comment, key)
			}
		}
		var c cloudConfig
		if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		if len(c.Users) != 1 || len(c.Users[0].Keys) != 1 || c.Users[0].Keys[0] != commentedKey(u.Keys[0]) || !utf8.ValidString(text) {
			t.Errorf("comment %q: users = %+v, want one user with one key", comment, c.Users)
		}
	})
}
