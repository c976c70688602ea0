package fleet

import "context"

// Candidates says which machines of others are looked for. The zero value is all that a
// provider knows; the fields narrow it, each by itself.
type Candidates struct {
	Tag  string   // the provider's tag that they carry
	Name string   // glob that their names match (path.Match)
	IDs  []string // the provider's IDs
}

// Adoption is what a machine of others becomes.
type Adoption struct {
	ID      string // the provider's
	Node    string // the slot that it is to hold
	HostKey string // that the operator confirmed, authorized_keys form, no comment
	State   string // where its relay keeps its state
}

// Adopter is a [Provider] that takes machines of others into the fleet, and gives them
// back. Every method is idempotent and restarts nothing on a box.
type Adopter interface {
	// Candidates lists machines, sorted by ID: those that may be adopted, with an empty
	// Fleet, and those that the fleet has already. One of another fleet is listed with the
	// reason as its Problem. It changes nothing.
	Candidates(ctx context.Context, c Candidates) ([]Machine, error)
	// Adopt marks a machine as ours and adopted. One that the fleet has already keeps its
	// marks. One of another fleet is ErrOtherFleet.
	Adopt(ctx context.Context, a Adoption) error
	// Release takes every mark of the fleet off a machine, which stays, relay and all. One
	// without marks is released.
	Release(ctx context.Context, id string) error
}
