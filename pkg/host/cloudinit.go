package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// cloudInitLog is where cloud-init says more.
const cloudInitLog = "/var/log/cloud-init-output.log"

// FirstBootError is a first boot that did not end well, in cloud-init's own words.
type FirstBootError struct {
	Status string   // "error", "degraded done"
	Errors []string // cleaned
	Tail   []string // of its log, cleaned
}

func (e *FirstBootError) Error() string {
	text := "cloud-init: status " + e.Status
	if len(e.Errors) > 0 {
		text += ": " + strings.Join(e.Errors, "; ")
	}
	if len(e.Tail) > 0 {
		text += "; the end of " + cloudInitLog + ":\n  " + strings.Join(e.Tail, "\n  ")
	}
	return text
}

// Hint says what to do about it.
func (e *FirstBootError) Hint() string {
	return "Read " + cloudInitLog + " on the box; fleetctl replace-region makes another machine."
}

// cloudStatus is what is read of cloud-init's answer.
type cloudStatus struct {
	Status      string              `json:"status"`
	Extended    string              `json:"extended_status"`
	Errors      []string            `json:"errors"`
	Recoverable map[string][]string `json:"recoverable_errors"`
}

// maxSaid bounds how many of cloud-init's errors are passed on.
const maxSaid = 5

// parseCloudInit judges the answer of cloud-init: what failed, or what it warned of in a
// first boot that ended all the same. What it merely calls deprecated, and the images of
// providers are full of that, is neither.
func parseCloudInit(stdout []byte) (failed *FirstBootError, warned []string) {
	var s cloudStatus
	start := max(0, bytes.IndexByte(stdout, '{'))
	if err := json.Unmarshal(stdout[start:], &s); err != nil || s.Status == "" {
		return &FirstBootError{Status: "unknown", Errors: []string{"it says " + clean(string(stdout), 300)}}, nil
	}
	said := s.Errors
	for _, level := range slices.Sorted(maps.Keys(s.Recoverable)) {
		switch level {
		case "DEPRECATED":
		case "WARNING":
			warned = append(warned, s.Recoverable[level]...)
		default:
			said = append(said, s.Recoverable[level]...)
		}
	}
	ended := s.Status == "done" || s.Status == "disabled" || s.Status == "degraded"
	if ended && len(said) == 0 {
		return nil, cleaned(warned)
	}
	status := s.Status
	if s.Extended != "" {
		status = s.Extended
	}
	return &FirstBootError{Status: clean(status, 60), Errors: cleaned(append(said, warned...))}, nil
}

// cleaned are the first lines that may be passed on.
func cleaned(said []string) []string {
	var out []string
	for _, line := range said[:min(len(said), maxSaid)] {
		out = append(out, clean(line, 300))
	}
	return out
}

// judgeCloudInit makes an error of a first boot that did not end well, and logs what
// cloud-init warned of. A box without cloud-init had no first boot.
func (b box) judgeCloudInit(ctx context.Context, res sshx.Result) error {
	if absent(cloudInit(), res) {
		return nil
	}
	e, warned := parseCloudInit(res.Stdout)
	if e == nil {
		if len(warned) > 0 {
			b.log.WarnContext(ctx, "cloud-init ended with warnings", slog.String("node", b.m.Node), slog.String("warnings", strings.Join(warned, "; ")))
		}
		return nil
	}
	if e.Status == "unknown" {
		e.Errors = append(e.Errors, fmt.Sprintf("exit status %d", res.ExitCode), clean(string(res.Stderr), 300))
	}
	if out, err := b.exec(ctx, tailOf(cloudInitLog, tailLines)); err == nil {
		e.Tail = lines(out, tailLines)
	}
	return e
}
