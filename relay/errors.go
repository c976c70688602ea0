package relay

import "errors"

// ErrLocked says that another daemon holds the state directory.
var ErrLocked = errors.New("state directory is held by another relay")

// ErrNoIdentity says that a state directory has no node.key.
var ErrNoIdentity = errors.New("no identity")

// HintError is an error with one imperative sentence for the operator.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }

// Unwrap returns the error that the hint belongs to.
func (e *HintError) Unwrap() error { return e.Err }

func hint(err error, text string) error { return &HintError{Err: err, Hint: text} }
