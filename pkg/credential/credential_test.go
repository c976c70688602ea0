package credential_test

import (
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/credential"
)

func TestFrom_SaysWhereItLookedAndNeverWhatItRead(t *testing.T) {
	env := func(name string) string { return map[string]string{"SECOND": " hush\n", "BAD": "\"hush\nhush\""}[name] }
	variables := []string{"FIRST", "SECOND"}
	for _, tc := range []struct {
		what        string
		spec        fleet.SecretSpec
		want, where string
	}{
		{what: "the first variable that is set", want: "hush", where: "SECOND"},
		{what: "variable that is not set", spec: fleet.SecretSpec{Env: "NONE"}, where: "NONE"},
		{what: "line end within", spec: fleet.SecretSpec{Env: "BAD"}, where: "BAD"},
		{what: "command", spec: fleet.SecretSpec{Command: []string{"echo", "hush"}}, want: "hush", where: "command echo"},
		{what: "command that fails and says the secret", spec: fleet.SecretSpec{Command: []string{"sh", "-c", "echo hush; echo hush >&2; exit 3"}}, where: "command sh"},
		{what: "no file", spec: fleet.SecretSpec{File: "none"}, where: "file /nowhere/none"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			got, from, err := credential.From(tc.spec, variables, env, func(p string) string { return "/nowhere/" + p })(t.Context())
			if got != tc.want || from != tc.where {
				t.Errorf("got %q from %q, want %q from %q", got, from, tc.want, tc.where)
			}
			if (err == nil) != (tc.want != "") || err != nil && (strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), tc.where)) {
				t.Errorf("got error %v, want one exactly where there is no secret, which names its place and not what was read", err)
			}
		})
	}
}
