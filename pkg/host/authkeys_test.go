package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	blobA = "AAAAC3NzaC1lZDI1NTE5AAAAIHvNmUeLIjaYX3wBQ5vDyLgzrOjhvJHVWcLwVnpFmmUa"
	blobB = "AAAAC3NzaC1lZDI1NTE5AAAAIAxTBRkT7osJYiZ55j1tP6yEwhlrOKlWfuDMG4QG0d+b"
)

func TestKeyOf_FindsTheKeyBehindItsOptions(t *testing.T) {
	for line, want := range map[string]string{
		"ssh-ed25519 " + blobA:                                         blobA,
		"  ssh-ed25519\t" + blobA + " ann@desk":                        blobA,
		`from="10.0.0.0/8",no-pty ssh-ed25519 ` + blobA:                blobA,
		`command="echo \"ssh-rsa X\" y" ssh-ed25519 ` + blobA + " c d": blobA,
		"sk-ssh-ed25519@openssh.com " + blobA:                          blobA,
		"ecdsa-sha2-nistp256 " + blobA:                                 blobA,
		"# ssh-ed25519 " + blobA:                                       "",
		"#ssh-ed25519 " + blobA:                                        "",
		"":                                                             "",
		"\n":                                                           "",
		"words that hold no key at all":                                "",
		"a b ssh-ed25519 " + blobA:                                     "",
		`command="never closed ssh-ed25519 ` + blobA:                   "",
		"ssh-ed25519":                                                  "",
	} {
		if got := keyOf(line); got != want {
			t.Errorf("keyOf(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestWithKeys_AddsAtTheEndAndChangesNothingElse(t *testing.T) {
	const has = "# by hand\nfrom=\"10.0.0.1\" ssh-ed25519 " + blobA + " ann\n\nnonsense"
	wanted := []string{"ssh-ed25519 " + blobB + " bob\t\x1b[1m", "ssh-ed25519 " + blobA, "ssh-ed25519 " + blobB}
	missing := missingKeys(has, wanted)
	if diff := cmp.Diff(wanted[:1], missing); diff != "" {
		t.Fatalf("missing (-want +got):\n%s", diff)
	}
	want := has + "\nssh-ed25519 " + blobB + " bob [1m\n"
	if diff := cmp.Diff(want, withKeys(has, missing)); diff != "" {
		t.Errorf("authorized_keys (-want +got):\n%s", diff)
	}
}

func TestWithoutKey_KeepsCommentsOptionsAndOrder(t *testing.T) {
	const has = "# ann\nssh-ed25519 " + blobA + " ann\nno-pty ssh-ed25519 " + blobB + " bob\nno-pty ssh-ed25519 " + blobA + "\n# end"
	rest, dropped, left := withoutKey(has, blobA)
	if want := "# ann\nno-pty ssh-ed25519 " + blobB + " bob\n# end"; rest != want || dropped != 2 || left != 1 {
		t.Errorf("withoutKey = %q, %d, %d; want %q, 2, 1", rest, dropped, left, want)
	}
}

func TestParseAccount_RefusesWhatIsNoHome(t *testing.T) {
	if a, err := parseAccount("fleetctl:x:1000:1001:,,,:/home/fleetctl:/bin/bash\n"); err != nil || a.keysFile() != "/home/fleetctl/.ssh/authorized_keys" || a.gid != "1001" {
		t.Errorf("parseAccount = %+v, %v", a, err)
	}
	for _, bad := range []string{"", "root", "a:b:c:d:e:home:g", "a:x:1:1::/ho\x1b[me:/bin/sh", strings.Repeat(":", 1000)} {
		if a, err := parseAccount(bad); err == nil {
			t.Errorf("parseAccount(%.20q) = %+v, want an error", bad, a)
		}
	}
}

func FuzzWithoutKey_TakesNoOtherLine(f *testing.F) {
	f.Add("# a\nssh-ed25519 " + blobA + "\nno-pty ssh-ed25519 " + blobB)
	f.Add(`command="x ssh-ed25519 ` + blobA + "\n\"\n")
	f.Fuzz(func(t *testing.T, has string) {
		rest, dropped, _ := withoutKey(has, blobA)
		kept := 0
		for line := range strings.Lines(has) {
			if keyOf(line) != blobA {
				kept += len(line)
			}
		}
		if len(rest) != kept || dropped == 0 && rest != has {
			t.Errorf("withoutKey(%q) = %q with %d lines dropped, want %d bytes kept", has, rest, dropped, kept)
		}
		if again := missingKeys(rest, []string{"ssh-ed25519 " + blobA}); len(again) != 1 {
			t.Errorf("withoutKey(%q) = %q still holds the key", has, rest)
		}
	})
}

func TestKeys_OfTheMachineAreLetInBesideThoseOfTheSystem(t *testing.T) {
	const other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk8YmR8aSXPGQAp7xB8WqyBQHmAFQ8Yt3Z6sN3nJ2dK her"
	for _, c := range []struct {
		what          string
		system, their []string
		has           text
		want          string // the drift, "" for none
	}{
		{"both are missing", []string{other}, []string{testKey + " laptop"}, text{there: true}, "2 of 2 missing"},
		{"that of the machine is missing", []string{other}, []string{testKey}, text{there: true, body: other + "\n"}, "1 of 2 missing"},
		{"there is no other", nil, []string{testKey}, text{there: true, body: other + "\n"}, "1 of 1 missing"},
		{"it is there, with options", []string{other}, []string{testKey}, text{there: true, body: "# x\nno-pty " + testKey + "\n" + other + "\n"}, ""},
		{"it is one of the system's, too", []string{testKey + " me"}, []string{testKey}, text{there: true, body: other}, "1 of 1 missing"},
		{"the keys could not be read", []string{other}, []string{testKey}, text{there: true, warning: "larger than"}, ""},
	} {
		m, spec := droplet()
		m.Keys = c.their
		drift, _ := SystemOf(spec, c.system).judge(m, systemReadings{keys: c.has})
		got := ""
		for _, d := range drift {
			if d.Name == driftKeys {
				got = d.From
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

func TestKeys_ThatTheProviderDoesNotKnowAreWarnedOf(t *testing.T) {
	m, spec := droplet()
	m.KeysProblem = "the account has no SSH key"
	if _, warnings := SystemOf(spec, nil).judge(m, systemReadings{}); !slices.Contains(warnings, m.KeysProblem) {
		t.Errorf("got warnings %q, want %q among them", warnings, m.KeysProblem)
	}
}
