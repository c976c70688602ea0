// Command testsum runs `go test -json -shuffle=on`, with the race detector where there is
// a C compiler, over the packages that it is given, and says what a person wants to know:
// each package with its time, all output of what failed, every skip, and the lines by
// which tests report what they counted ("kill points …"). It fails on a failed test, on a
// skipped one, and when no test ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

func main() {
	ok, err := test(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// test runs the tests and reports whether all of them ran and passed.
func test(packages []string) (bool, error) {
	// Parallel tests wait for processes and for time, more than for a core. make lint vets.
	args := []string{"test", "-json", "-shuffle=on", "-timeout=10m", "-parallel=6", "-vet=off"}
	race, err := canRace()
	if err != nil {
		return false, err
	}
	if race {
		args = append(args, "-race")
	} else {
		fmt.Fprintln(os.Stderr, "WARNING: no C compiler: the tests run WITHOUT the race detector")
	}
	cmd := exec.Command("go", append(args, packages...)...) //nolint:gosec,noctx // our own arguments; ends with us
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, fmt.Errorf("run tests: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("run tests: %w", err)
	}
	ok, err := summarize(out, os.Stdout)
	if waited := cmd.Wait(); err == nil && ok && waited != nil {
		return false, fmt.Errorf("go test: %w", waited)
	}
	return ok, err
}

// canRace reports whether the race detector can be linked.
func canRace() (bool, error) {
	out, err := exec.Command("go", "env", "CGO_ENABLED", "CC").Output() //nolint:noctx // ends by itself
	if err != nil {
		return false, fmt.Errorf("go env: %w", err)
	}
	cgo, cc, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	fields := strings.Fields(cc)
	if cgo != "1" || len(fields) == 0 {
		return false, nil
	}
	_, err = exec.LookPath(fields[0])
	return err == nil, nil
}

// summary is what has been seen of a run so far.
type summary struct {
	out                    io.Writer
	output                 map[string][]string // of tests and packages that have not ended
	passed, failed, broken int                 // tests, tests, packages
	skipped                []string
}

func summarize(in io.Reader, out io.Writer) (ok bool, err error) {
	s := &summary{out: out, output: make(map[string][]string)}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not of a test: go's own words
			continue
		}
		s.add(e)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read test output: %w", err)
	}
	for _, name := range s.skipped {
		fmt.Fprintln(out, "SKIPPED", name)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, len(s.skipped))
	switch {
	case s.failed > 0 || s.broken > 0:
		fmt.Fprintln(out, "FAIL")
	case len(s.skipped) > 0:
		fmt.Fprintln(out, "FAIL: a skipped test proves nothing")
	case s.passed == 0:
		fmt.Fprintln(out, "FAIL: no test ran")
	default:
		return true, nil
	}
	return false, nil
}

func (s *summary) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output":
		s.output[key] = append(s.output[key], e.Output)
		if strings.Contains(e.Output, "kill points ") {
			fmt.Fprint(s.out, e.Output)
		}
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		fmt.Fprintf(s.out, "--- %s %s\n%s", e.Package, e.Test, strings.Join(s.output[key], ""))
	case "skip":
		s.skipped = append(s.skipped, e.Package+" "+e.Test+": "+reason(s.output[key]))
	}
}

// endPackage ends a package. "skip" is a package without tests.
func (s *summary) endPackage(e event, key string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok    %6.2fs  %s\n", e.Elapsed, e.Package)
	case "fail":
		s.broken++
		fmt.Fprintf(s.out, "FAIL  %6.2fs  %s\n", e.Elapsed, e.Package)
		for k, lines := range s.output { // a test that never ended, a panic, a data race at exit
			if k == key || strings.HasPrefix(k, e.Package+"\x00") {
				fmt.Fprint(s.out, strings.Join(lines, ""))
			}
		}
	}
}

// reason is what a skipped test said, in one line.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}
