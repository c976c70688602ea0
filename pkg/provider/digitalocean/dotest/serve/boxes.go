package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest/box"
)

// kind is something that can stand behind the droplets.
type kind struct {
	name string
	// open makes the boxes; dir is theirs alone, and removed at the end if it was made for them.
	open func(s settings, dir string, log *slog.Logger) (dotest.Boxes, error)
}

// kinds is the list; a new one is a line here.
func kinds() []kind {
	return []kind{
		{"none", func(settings, string, *slog.Logger) (dotest.Boxes, error) { return nil, nil }},
		{"exec", openExec},
		{"local", func(_ settings, dir string, log *slog.Logger) (dotest.Boxes, error) { return box.New(dir, log), nil }},
	}
}

func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func openExec(s settings, dir string, _ *slog.Logger) (dotest.Boxes, error) {
	if s.exec == "" {
		return nil, errors.New("-boxes exec: -exec names no command")
	}
	return dotest.Exec{Argv: []string{s.exec}, Dir: dir}, nil
}

// open makes the boxes that the command line names, and says how to close them and to
// remove their files when none is left.
func open(s settings, log *slog.Logger) (boxes dotest.Boxes, remove func(context.Context) error, err error) {
	for _, k := range kinds() {
		if k.name != s.boxes {
			continue
		}
		dir, remove, err := directory(s)
		if err != nil {
			return nil, nil, err
		}
		boxes, err := k.open(s, dir, log)
		if err != nil {
			return nil, nil, errors.Join(err, remove())
		}
		return boxes, func(ctx context.Context) error {
			var err error
			if c, ok := boxes.(interface{ Close(context.Context) error }); ok {
				err = c.Close(ctx)
			}
			return errors.Join(err, remove())
		}, nil
	}
	return nil, nil, fmt.Errorf("-boxes %s: want %s", s.boxes, strings.Join(kindNames(), " or "))
}

// directory is where the boxes keep their files: the operator's, or one that goes again.
func directory(s settings) (dir string, remove func() error, err error) {
	if s.dir != "" {
		return s.dir, func() error { return nil }, os.MkdirAll(s.dir, 0o700)
	}
	dir, err = os.MkdirTemp("", "dotest-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}
