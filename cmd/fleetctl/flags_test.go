package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestFlags_OfNumbersTakeNoneBelowZero(t *testing.T) {
	a, _, _ := testApp(t)
	for flag, cmd := range map[string]*cobra.Command{"max-deletes": newDNSAddrSync(a), "require": newDNSAddrVerify(a)} {
		for _, value := range []string{"-1", "-3", "1.5", "x", "", "99999999999999999999"} {
			if err := cmd.ParseFlags([]string{"--" + flag, value}); err == nil || !strings.Contains(err.Error(), "want a whole number, 0 or more") {
				t.Errorf("--%s %q: got error %v, want one that says what is accepted", flag, value, err)
			}
		}
		for _, value := range []string{"0", "3"} {
			if err := cmd.ParseFlags([]string{"--" + flag, value}); err != nil || cmd.Flags().Lookup(flag).Value.String() != value {
				t.Errorf("--%s %s: got %v, %v", flag, value, cmd.Flags().Lookup(flag).Value, err)
			}
		}
	}
}
