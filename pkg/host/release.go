package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

// send makes sure that the release is on the box. One that is there already, whole,
// is not sent again, and then r.Path is not read.
func (b box) send(ctx context.Context, r fleet.Release) error {
	if !hex64.MatchString(r.SHA256) {
		return fmt.Errorf("install release %q: no SHA-256", clean(r.SHA256, 80))
	}
	there, err := b.same(ctx, ReleaseFile(r.SHA256), r.SHA256)
	if err != nil || there {
		return err
	}
	if r.Path == "" {
		return fmt.Errorf("install release %s: it is not on the box, and there is no file to send", r.SHA256)
	}
	if err := b.fits(ctx, r.Path); err != nil {
		return err
	}
	if err := b.all(ctx, makeDir(ReleaseDir(r.SHA256))); err != nil {
		return err
	}
	if b.cfg.System != nil {
		if err := b.room(ctx, r.Path, ReleaseDir(r.SHA256)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := b.run.Upload(ctx, b.at, r.Path, ReleaseFile(r.SHA256), r.SHA256, 0o755); err != nil {
		return fmt.Errorf("send the relay binary: %w", err)
	}
	return nil
}

// sendTimeout bounds the upload of one binary.
const sendTimeout = 10 * time.Minute

// same reports whether a file of the box is there and has this SHA-256.
func (b box) same(ctx context.Context, file, sum string) (bool, error) {
	out, err := b.exec(ctx, digest(file))
	var exit *exitError
	if errors.As(err, &exit) && exit.code == 1 {
		return false, nil // no such file
	}
	if err != nil {
		return false, err
	}
	has, _, _ := strings.Cut(strings.TrimSpace(out), " ")
	return has == sum, nil
}

// fits compares the system that the binary is built for with the box's.
func (b box) fits(ctx context.Context, binary string) error {
	out, err := b.exec(ctx, uname())
	if err != nil {
		return err
	}
	has, err := parseUname(out)
	if err != nil {
		return err
	}
	built, err := ReadPlatform(binary)
	if err != nil {
		return err
	}
	if built != has {
		return fleet.WithHint(fmt.Errorf("relay binary %s is built for %s, the box is %s", binary, built, has),
			fmt.Sprintf("Make one with GOOS=%s GOARCH=%s make build.", has.OS, has.Arch))
	}
	return nil
}

// prune removes old releases. It is tidiness: what cannot be removed is left.
func (b box) prune(ctx context.Context, current, before string) error {
	out, err := b.exec(ctx, listReleases())
	if err != nil {
		return err
	}
	for _, sha := range superfluous(strings.Fields(out), current, before) {
		if err := b.all(ctx, removeRelease(sha)); err != nil {
			return err
		}
	}
	return nil
}

// superfluous names the releases that go: all but the newest [Kept], never the current
// one nor the one before. The list is the directory's, newest first; what is no
// release in it is left alone.
func superfluous(list []string, current, before string) []string {
	room := Kept
	for _, sha := range list {
		if sha == current || sha == before {
			room--
		}
	}
	var out []string
	for _, sha := range list {
		switch {
		case sha == current, sha == before, !hex64.MatchString(sha):
		case room > 0:
			room--
		default:
			out = append(out, sha)
		}
	}
	return out
}
