package box

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// runtimeConfig is the configuration with which the relay runs.
func (d *droplet) runtimeConfig() string { return filepath.Join(d.dir, "relay.yaml") }

// program is what relay.service starts.
func (d *droplet) program() (boxsim.Program, error) {
	s, loaded := d.units.get(relayUnit)
	argv := strings.Fields(s.exec)
	switch {
	case !loaded:
		return boxsim.Program{}, errors.New("unit relay.service not found")
	case len(argv) == 0 || boxsim.Name(argv[0]) != boxsim.RelayPath:
		return boxsim.Program{}, fmt.Errorf("ExecStart=%s: this machine runs nothing but /%s", s.exec, boxsim.RelayPath)
	}
	if s.user != "" && !d.disk().hasUser(s.user) {
		return boxsim.Program{}, fmt.Errorf("failed to determine user credentials of %q: no such process (status 217/USER)", s.user)
	}
	if err := d.unit.Runnable(); err != nil {
		return boxsim.Program{}, err
	}
	if s.state != "" {
		dir := filepath.Join("var/lib", filepath.Base(s.state))
		if err := errors.Join(d.jail.MkdirAll(dir, 0o755), d.jail.Chmod(dir, s.stateMode)); err != nil {
			return boxsim.Program{}, fmt.Errorf("StateDirectory=%s: %w", s.state, boxsim.Cause(err))
		}
	}
	text, err := d.unit.ReadConfig()
	if err != nil {
		return boxsim.Program{}, err
	}
	if err := os.WriteFile(d.runtimeConfig(), isolate(text, d.root(), d.addr), 0o600); err != nil {
		return boxsim.Program{}, err
	}
	args := slices.Clone(argv[1:])
	for i, a := range args {
		if a == "/"+boxsim.ConfigPath {
			args[i] = d.runtimeConfig()
		}
	}
	p := boxsim.Program{
		Path: filepath.Join(d.root(), boxsim.RelayPath), Args: args,
		Env: boxsim.Environment(d.dir),
	}
	if s.kind != "notify" {
		return p, nil
	}
	d.notify.begin()
	p.Ready, p.Timeout = d.notify.isReady, s.start
	p.Env = append(p.Env, "NOTIFY_SOCKET="+d.notify.address())
	if s.watchdog > 0 {
		p.Env = append(p.Env, "WATCHDOG_USEC="+strconv.FormatInt(s.watchdog.Microseconds(), 10))
	}
	return p, nil
}

// isolate is the daemon's configuration for a process that shares this computer with
// others: what is the machine's alone on a real one (its "/", its loopback, all of its
// addresses) is moved below root and to addr. A text that is no YAML stays as it is: the
// daemon shall say so.
func isolate(text []byte, root string, addr netip.Addr) []byte {
	var config yaml.MapSlice
	if err := yaml.Unmarshal(text, &config); err != nil {
		return text
	}
	for i, item := range config {
		switch value := item.Value.(type) {
		case string:
			switch item.Key {
			case "state", "api_token_file":
				config[i].Value = filepath.Join(root, boxsim.Name(value))
			case "api":
				config[i].Value = moved(value, addr)
			}
		case []any:
			if item.Key == "listen" {
				config[i].Value = listening(value, addr)
			}
		}
	}
	out, err := yaml.Marshal(config)
	if err != nil {
		return text
	}
	return out
}

// moved is a loopback address and port on the machine's own address.
func moved(hostPort string, addr netip.Addr) string {
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil || !at.Addr().IsLoopback() && !at.Addr().IsUnspecified() {
		return hostPort
	}
	return netip.AddrPortFrom(addr, at.Port()).String()
}

// listening moves wildcards to the machine's address. It has no address of IPv6.
func listening(multiaddrs []any, addr netip.Addr) []any {
	out := []any{}
	for _, m := range multiaddrs {
		text, ok := m.(string)
		if rest, wildcard := strings.CutPrefix(text, "/ip4/0.0.0.0/"); ok && wildcard {
			m = "/ip4/" + addr.String() + "/" + rest
		}
		if ok && strings.HasPrefix(text, "/ip6/::/") {
			continue
		}
		out = append(out, m)
	}
	return out
}
