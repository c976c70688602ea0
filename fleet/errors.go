package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers branch on.
var (
	// ErrNoMachine: the provider lists no such machine.
	ErrNoMachine = errors.New("no such machine")
	// ErrStalePlan: the fleet changed since the plan was made, or the plan is not of this fleet.
	ErrStalePlan = errors.New("the plan does not cover what would be done now")
	// ErrAuth: a credential is missing, wrong, or allows less than is needed.
	ErrAuth = errors.New("not authorized")
	// ErrQuota: a quota or a rate is used up.
	ErrQuota = errors.New("quota is used up")
	// ErrOtherFleet: machines carry our fleet's name and another fleet's ID.
	ErrOtherFleet = errors.New("another fleet has this name")
	// ErrNotAsked: a box could not be asked whether it reaches a relay.
	ErrNotAsked = errors.New("not asked")
	// ErrNotSettled: the run ended before everything that was asked for was there.
	ErrNotSettled = errors.New("not settled")
)

// Objection is one reason of Guard to say no.
type Objection struct {
	Ref    Ref
	Reason string
	Hint   string // what lifts it, "" if nothing does
}

// Refusal is Guard's no. Nothing of the refused plan was done.
type Refusal struct{ Objections []Objection }

func (r *Refusal) Error() string {
	reasons := make([]string, len(r.Objections))
	for i, o := range r.Objections {
		reasons[i] = o.Reason
		if o.Ref.Node != "" {
			reasons[i] = o.Ref.Node + ": " + o.Reason
		}
	}
	return "refused: " + strings.Join(reasons, "; ")
}

// Hint is the first objection's way out.
func (r *Refusal) Hint() string {
	for _, o := range r.Objections {
		if o.Hint != "" {
			return o.Hint
		}
	}
	return ""
}

// Failure is a change that was begun and did not succeed.
type Failure struct {
	Stage  string
	Change Change
	Err    error
}

func (f *Failure) Error() string {
	subject := f.Change.Ref.Node
	if subject == "" { // it is of the whole fleet
		subject = "fleet"
	}
	return fmt.Sprintf("%s: %s: %v", subject, f.Change.Action, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// hinter is an error that knows what its reader can do.
type hinter interface{ Hint() string }

// Hint is the advice carried by err or by an error that it wraps, "" if there is none.
func Hint(err error) string {
	var h hinter
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// hinted adds advice to an error.
type hinted struct {
	error
	hint string
}

func (h *hinted) Hint() string  { return h.hint }
func (h *hinted) Unwrap() error { return h.error }

// WithHint adds one imperative sentence to err. A nil err stays nil.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{error: err, hint: hint}
}
