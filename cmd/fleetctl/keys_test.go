package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// testKey is a new key with a comment.
func testKey(t *testing.T, comment string) publicKey {
	t.Helper()
	key, err := newPublicKey(sshx.AuthorizedKey(sshtest.NewSigner().PublicKey()) + " " + comment)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// boxOf is a box of a node that lets these keys in; own are ours.
func boxOf(node string, own []publicKey, keys ...publicKey) keyBox {
	b := keyBox{m: fleet.Machine{ID: node, Node: node}, keys: keys, ours: make(map[string]bool)}
	for _, k := range own {
		b.ours[k.fingerprint] = true
	}
	return b
}

func states(c keyChange) string {
	var out []string
	for _, b := range c.boxes {
		out = append(out, b.m.Node+" "+string(b.state))
	}
	return strings.Join(out, ", ")
}

func TestKeys_AddConvergesOnTheBoxesThatLackTheKey(t *testing.T) {
	mine, other := testKey(t, "mine"), testKey(t, "other")
	adopted := boxOf("c", nil, mine)
	adopted.m.Adopted = true
	c := planAdd([]keyBox{boxOf("a", nil, mine), boxOf("b", nil, mine, other), adopted, {m: fleet.Machine{Node: "d"}, err: errors.New("no answer")}}, other)
	if got, want := states(c), "a planned, b no need, c left alone, d unreadable"; got != want {
		t.Errorf("plan: got %q, want %q", got, want)
	}
	if got := c.count(); got != 1 {
		t.Errorf("to be changed: got %d, want 1", got)
	}
}

func TestKeys_WhatTheSpecHasOtherwiseIsSaid(t *testing.T) {
	key, other := testKey(t, "mine"), testKey(t, "other")
	for _, c := range []struct {
		name           string
		entries, lines []string
		remove         bool
		want           string
	}{
		{"removed, and a line of the spec", []string{key.line}, []string{key.line}, true, "lets it in again"},
		{"removed, and named by the spec", []string{key.fingerprint}, nil, true, "the next 'fleetctl up' lets it in again"},
		{"removed, and another's", []string{other.fingerprint}, []string{other.line}, true, ""},
		{"added, and unknown to the spec", []string{other.fingerprint}, nil, false, "will not let it in"},
		{"added, and named by the spec", []string{key.fingerprint}, nil, false, ""},
	} {
		got := disagreement(c.entries, c.lines, keyChange{key: key, remove: c.remove})
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestKeys_RemoveLocksNobodyOut(t *testing.T) {
	mine, second, other := testKey(t, "mine"), testKey(t, "second"), testKey(t, "other")
	for name, c := range map[string]struct {
		boxes []keyBox
		key   publicKey
		want  string // states, or the error
		err   error
	}{
		"another's key":                    {[]keyBox{boxOf("a", []publicKey{mine}, mine, other)}, other, "a planned", nil},
		"not there":                        {[]keyBox{boxOf("a", []publicKey{mine}, mine)}, other, "a no need", nil},
		"our only key":                     {[]keyBox{boxOf("a", []publicKey{mine}, mine, other)}, mine, "a: ", host.ErrOwnKey},
		"one of our keys":                  {[]keyBox{boxOf("a", []publicKey{mine, second}, mine, second)}, second, "a planned", nil},
		"one of ours, the other not there": {[]keyBox{boxOf("a", []publicKey{mine, second}, second, other)}, second, "a: ", host.ErrOwnKey},
		"the last key":                     {[]keyBox{boxOf("a", nil, other)}, other, "a: ", host.ErrLastKey},
		"the last key, twice":              {[]keyBox{boxOf("a", nil, other, other)}, other, "a: ", host.ErrLastKey},
		"let in by an agent":               {[]keyBox{boxOf("a", nil, mine, other)}, other, "a planned", nil},
		"one box of two would be shut":     {[]keyBox{boxOf("a", []publicKey{mine}, mine, other), boxOf("b", []publicKey{mine}, other)}, other, "b: ", host.ErrLastKey},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := planRemove(c.boxes, c.key)
			if c.err != nil {
				if !errors.Is(err, c.err) || exitCode(err) != exitRefused || !strings.Contains(err.Error(), "keys remove: "+c.want) {
					t.Errorf("error: got %v, want exit 6 and %v", err, c.err)
				}
				return
			}
			if err != nil || states(got) != c.want {
				t.Errorf("plan: got %q (%v), want %q", states(got), err, c.want)
			}
		})
	}
}

// keyStore is boxes whose keys are lines in memory.
type keyStore struct {
	mu    sync.Mutex
	lines map[string][]string // by machine ID
	fail  map[string]error    // of changes, by machine ID
}

func (s *keyStore) Keys(_ context.Context, m fleet.Machine) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines[m.ID]), s.fail[m.ID]
}

func (s *keyStore) AddKey(_ context.Context, m fleet.Machine, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail[m.ID] == nil {
		s.lines[m.ID] = append(s.lines[m.ID], key)
	}
	return s.fail[m.ID]
}

func (s *keyStore) RemoveKey(_ context.Context, m fleet.Machine, key, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail[m.ID] == nil {
		s.lines[m.ID] = slices.DeleteFunc(s.lines[m.ID], func(l string) bool { return l == key })
	}
	return s.fail[m.ID]
}

func TestKeys_ARemovalThatShutsUsOutIsTakenBack(t *testing.T) {
	mine, other := testKey(t, "mine"), testKey(t, "other")
	store := &keyStore{lines: map[string][]string{"a": {mine.line, other.line}, "b": {mine.line, other.line}}}
	own := []publicKey{mine}
	c, err := planRemove([]keyBox{boxOf("a", own, mine, other), boxOf("b", own, mine, other)}, other)
	if err != nil {
		t.Fatal(err)
	}
	c.carryOut(t.Context(), store, func(_ context.Context, m fleet.Machine) error {
		if m.ID == "b" {
			return sshx.ErrAuth
		}
		return nil
	})
	if got, want := states(c), "a done, b failed"; got != want {
		t.Errorf("states: got %q, want %q", got, want)
	}
	if slices.Contains(store.lines["a"], other.line) || !slices.Contains(store.lines["b"], other.line) {
		t.Errorf("keys: got %v, want it gone from a and put back on b", store.lines)
	}
	err = c.problem()
	if err == nil || exitCode(err) != exitPartial || !strings.Contains(err.Error(), "b: a new login fails without the key, so it was put back") {
		t.Errorf("problem: got %v, want exit 3 that names b", err)
	}
}

func TestKeys_AFailureOnOneBoxIsNamedAndTheOthersGoOn(t *testing.T) {
	key := testKey(t, "new")
	store := &keyStore{lines: map[string][]string{}, fail: map[string]error{"a": errors.New("disk is full")}}
	c := planAdd([]keyBox{boxOf("a", nil), boxOf("b", nil)}, key)
	c.carryOut(t.Context(), store, nil)
	if got, want := states(c), "a failed, b done"; got != want {
		t.Errorf("states: got %q, want %q", got, want)
	}
	if err := c.problem(); err == nil || exitCode(err) != exitPartial || err.Error() != "a: disk is full" {
		t.Errorf("problem: got %v, want exit 3 that names a", err)
	}
}

func TestKeys_ListTellsWhereKeysDiffer(t *testing.T) {
	mine, other := testKey(t, "mine"), testKey(t, "other")
	store := &keyStore{lines: map[string][]string{
		"a": {mine.line, `from="192.0.2.0/24" ` + other.line, "ssh-ed25519 AAAA broken"},
		"b": {mine.line},
	}, fail: map[string]error{"c": errors.New("no answer")}}
	var boxes []keyBox
	for _, id := range []string{"a", "b", "c"} {
		b := readKeyBox(t.Context(), store, fleet.Machine{ID: id, Node: id})
		b.ours = map[string]bool{mine.fingerprint: true}
		boxes = append(boxes, b)
	}
	v := newKeysView("blue", boxes)
	var got []string
	for _, k := range v.Keys {
		got = append(got, fmt.Sprintf("%s %t %v %v", k.Comment, k.Own, k.On, k.Missing))
	}
	if want := []string{"mine true [a b] []", "other false [a] [b]"}; !slices.Equal(got, want) {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	if v.Boxes[0].Bad != 1 || v.Boxes[2].Keys != nil || v.Boxes[2].Error != "no answer" {
		t.Errorf("boxes: got %+v, want a bad line on a and c unknown", v.Boxes)
	}
	if err := unread(boxes); err == nil || exitCode(err) != exitPartial || nodeOf(err) != "c" {
		t.Errorf("unread: got %v, want exit 3 that names c", err)
	}
}

func TestKeys_AKeyIsFoundByFingerprintCommentOrFile(t *testing.T) {
	a, _, _ := testApp(t)
	one, two, twin := testKey(t, "laptop"), testKey(t, "desk"), testKey(t, "desk")
	boxes := []keyBox{boxOf("a", nil, one, two), boxOf("b", nil, twin)}
	write(t, filepath.Join(a.dir, "one.pub"), one.line+"\n")
	private := "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"
	write(t, filepath.Join(a.dir, "id"), private)
	for name, c := range map[string]struct {
		word string
		want publicKey
		err  string
	}{
		"a fingerprint":    {two.fingerprint, two, ""},
		"a comment":        {"laptop", one, ""},
		"a key":            {one.line, one, ""},
		"a file":           {"one.pub", one, ""},
		"two of a comment": {"desk", publicKey{}, "2 keys have the comment \"desk\": SHA256:"},
		"nothing known":    {"lapdog", publicKey{}, "no box that could be read has a key \"lapdog\""},
		"a private key":    {"id", publicKey{}, sshx.ErrPrivateKey.Error()},
		"its text":         {private, publicKey{}, sshx.ErrPrivateKey.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := a.findKey(boxes, c.word)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error: got %v, want %q in it, and no secret", err, c.err)
				}
				return
			}
			if err != nil || got.fingerprint != c.want.fingerprint {
				t.Errorf("key: got %v (%v), want %v", got.fingerprint, err, c.want.fingerprint)
			}
		})
	}
	if _, err := a.findKey(boxes, "lapdog"); !strings.Contains(fleet.Hint(err), "keys list") && !strings.Contains(fleet.Hint(err), "laptop") {
		t.Errorf("hint: got %q, want a way on", fleet.Hint(err))
	}
}
