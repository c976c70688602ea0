package digitalocean

import (
	"strings"
	"testing"

	"github.com/digitalocean/godo"
)

// What an account holds was written by others, and is let into machines.
func TestLineOf_AKeyOfTheAccountIsReadWithSuspicion(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"a plain one", operatorKey + " me@laptop\n", operatorKey + " me@laptop"},
		{"control characters in the comment", operatorKey + " \x1b[31mme\x07", operatorKey + " [31mme"},
		{"a long comment", operatorKey + " " + strings.Repeat("x", 500), operatorKey + " " + strings.Repeat("x", 100)},
		{"options", `command="x" ` + operatorKey, ""},
		{"another key in a second line", operatorKey + "\n" + keyOf(5), ""},
		{"a text without end", operatorKey + strings.Repeat(" x", mostKeyText), ""},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret, ""},
		{"no key", "ssh-ed25519 AAAA", ""},
	} {
		got, err := lineOf(godo.Key{ID: 7, PublicKey: c.text})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %q and error %v, want %q", c.what, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats it: %v", c.what, err)
		}
	}
}
