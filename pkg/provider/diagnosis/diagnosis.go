// Package diagnosis is how a provider or a zone tells 'fleetctl doctor' what only it can
// know: where its token comes from and what the token allows, the account, the clock of
// its API. It stands apart from package provider, which imports every provider.
package diagnosis

import "context"

// Finding is one thing that was looked at.
type Finding struct {
	Check  string // "token", "account"
	Detail string // what was found; never a secret
	Err    error  // what is wrong, nil if nothing is; its hint goes before Fix
	Fix    string // what puts it right: a command or an imperative sentence
}

// Doctor is a provider or a zone that can be examined. Diagnose changes nothing, and returns what it
// found in the order in which it is to be read, also when ctx ends on the way.
type Doctor interface {
	Diagnose(ctx context.Context) []Finding
}
