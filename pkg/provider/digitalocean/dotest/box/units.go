package box

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// unitDir holds the units that are not Debian's.
const unitDir = "etc/systemd/system"

// relayUnit is the one service that is a process here.
const relayUnit = "relay.service"

// stopTimeout is systemd's own TimeoutStopSec.
const stopTimeout = 90 * time.Second

// units are what systemd knows: the unit files as they were at the last reload. The zero
// value knows none.
type units struct {
	mu     sync.Mutex
	loaded map[string]service
}

// service is what a unit file says that means something here.
type service struct {
	exec      string
	reload    string
	policy    boxsim.Policy
	kind      string        // Type: "notify" says when it is ready
	start     time.Duration // TimeoutStartSec
	watchdog  time.Duration // 0: none
	user      string
	state     string // StateDirectory
	stateMode fs.FileMode
	ignored   []string // settings that systemd would ignore, too
}

// reload reads every unit file, and tells the relay's service what is its policy from
// now on. most bounds the pause between restarts; 0 leaves it.
func (u *units) reload(jail *os.Root, relay *boxsim.Unit, most time.Duration) {
	found := map[string]service{}
	entries, err := fs.ReadDir(jail.FS(), unitDir)
	for _, e := range entries {
		text, readErr := jail.ReadFile(path.Join(unitDir, e.Name()))
		if readErr != nil || !strings.HasSuffix(e.Name(), ".service") {
			continue
		}
		found[e.Name()] = parseService(string(text))
	}
	if err != nil && !os.IsNotExist(err) {
		relay.Journal.Note("daemon-reload: %v", boxsim.Cause(err))
	}
	s := found[relayUnit]
	for _, what := range s.ignored {
		relay.Journal.Note("%s: ignoring", what)
	}
	if most > 0 {
		s.policy.Delay = min(s.policy.Delay, most)
	}
	relay.SetPolicy(s.policy)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.loaded = found
}

// get returns a unit as it was read.
func (u *units) get(name string) (service, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.loaded[name]
	return s, ok
}

func (u *units) relay() service {
	s, _ := u.get(relayUnit)
	return s
}

// parseService reads a unit file. Of a setting that stands twice the last one counts.
func parseService(text string) service {
	s := service{
		start: stopTimeout, stateMode: 0o755,
		policy: boxsim.Policy{Delay: 100 * time.Millisecond, Burst: 5, Interval: 10 * time.Second}, // systemd's own
	}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			s.ignored = append(s.ignored, strconv.Quote(line)+" is no assignment")
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		set, known := settings()[section+key]
		if !known {
			continue // what a kernel is needed for
		}
		if err := set(&s, value); err != nil {
			s.ignored = append(s.ignored, fmt.Sprintf("%s=%s: %v", key, value, err))
		}
	}
	return s
}

// settings are those that mean something here.
func settings() map[string]func(*service, string) error {
	return map[string]func(*service, string) error{
		"[Unit]StartLimitIntervalSec": span(func(s *service) *time.Duration { return &s.policy.Interval }),
		"[Unit]StartLimitBurst": func(s *service, v string) (err error) {
			s.policy.Burst, err = strconv.Atoi(v)
			return err
		},
		"[Service]Type":            word(func(s *service) *string { return &s.kind }),
		"[Service]ExecStart":       word(func(s *service) *string { return &s.exec }),
		"[Service]ExecReload":      word(func(s *service) *string { return &s.reload }),
		"[Service]Restart":         word(func(s *service) *string { return &s.policy.Restart }),
		"[Service]RestartSec":      span(func(s *service) *time.Duration { return &s.policy.Delay }),
		"[Service]TimeoutStartSec": span(func(s *service) *time.Duration { return &s.start }),
		"[Service]WatchdogSec":     span(func(s *service) *time.Duration { return &s.watchdog }),
		"[Service]User":            word(func(s *service) *string { return &s.user }),
		"[Service]StateDirectory":  word(func(s *service) *string { return &s.state }),
		"[Service]StateDirectoryMode": func(s *service, v string) error {
			mode, err := strconv.ParseUint(v, 8, 12)
			s.stateMode = fs.FileMode(mode) // #nosec G115 -- twelve bits
			return err
		},
	}
}

func word(of func(*service) *string) func(*service, string) error {
	return func(s *service, v string) error {
		*of(s) = v
		return nil
	}
}

func span(of func(*service) *time.Duration) func(*service, string) error {
	return func(s *service, v string) error {
		d, err := parseSpan(v)
		if err == nil {
			*of(s) = d
		}
		return err
	}
}

// parseSpan reads systemd.time(7) as far as units need it: "5", "5s", "1min 30s", "100ms".
func parseSpan(text string) (time.Duration, error) {
	if text == "infinity" {
		return 0, nil
	}
	var sum time.Duration
	for _, word := range strings.Fields(text) {
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			sum += time.Duration(n * float64(time.Second))
			continue
		}
		d, err := time.ParseDuration(strings.NewReplacer("min", "m", "sec", "s").Replace(word))
		if err != nil {
			return 0, fmt.Errorf("%q is no time span", text)
		}
		sum += d
	}
	if sum < 0 || text == "" {
		return 0, fmt.Errorf("%q is no time span", text)
	}
	return sum, nil
}
