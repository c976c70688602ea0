package boxsim

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestJournal_IsBoundedAndReadsOn(t *testing.T) {
	j := &Journal{path: filepath.Join(t.TempDir(), "relay.log"), max: 1000}
	f, err := j.Open()
	must(t, "open", err)
	defer func() { _ = f.Close() }()
	for range 100 {
		_, err := f.WriteString(strings.Repeat("x", 99) + "\n")
		must(t, "write", err)
		must(t, "rotate", j.Rotate())
	}
	_, err = f.WriteString("the last one\n") // through the descriptor of before
	must(t, "write", err)
	var sum int64
	for _, path := range []string{j.path, j.path + ".1"} {
		info, err := os.Stat(path)
		must(t, "stat", err)
		sum += info.Size()
	}
	if sum > 3*j.max {
		t.Errorf("size of the journal: got %d, want at most %d", sum, 3*j.max)
	}
	var out bytes.Buffer
	_, err = j.Tail(2, &out)
	must(t, "tail", err)
	if want := strings.Repeat("x", 99) + "\nthe last one\n"; out.String() != want {
		t.Errorf("last two lines: got %q, want %q", out.String(), want)
	}
}

func TestLastLines_CountsLines(t *testing.T) {
	for _, tc := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"a", 1, "a"}, {"a\n", 1, "a\n"}, {"a\nb\n", 1, "b\n"}, {"a\nb\nc", 2, "b\nc"},
		{"a\nb\n", 9, "a\nb\n"}, {"a\n", 0, ""}, {"\n\n", 1, "\n"},
	} {
		if got := string(lastLines([]byte(tc.text), tc.n)); got != tc.want {
			t.Errorf("last %d of %q: got %q, want %q", tc.n, tc.text, got, tc.want)
		}
	}
}
