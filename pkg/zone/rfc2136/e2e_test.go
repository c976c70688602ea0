//go:build e2e

package rfc2136_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136/rfctest"
)

const zoneFile = `$TTL 300
@  IN SOA ns.zone.test. hostmaster.zone.test. 1 3600 600 86400 60
@  IN NS  ns.zone.test.
ns IN A   127.0.0.1
`

// The servers' configurations: directory, port, secret, who may transfer.
const (
	namedConf = `key "fleet" { algorithm hmac-sha256; secret "%[3]s"; };
key "reader" { algorithm hmac-sha256; secret "%[3]s"; };
options { directory "%[1]s"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none;
  session-keyfile none; recursion no; notify no; allow-transfer { %[4]s; }; dnssec-validation no; };
controls { };
zone "zone.test" { type primary; file "zone.db"; update-policy { grant fleet zonesub TXT; }; };
`
	knotConf = `server:
  rundir: %[1]q
  listen: 127.0.0.1@%[2]d
database:
  storage: %[1]q
key:
  - id: fleet
    algorithm: hmac-sha256
    secret: %[3]s
  - id: reader
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: fleet
    key: fleet
    action: [%[4]s]
zone:
  - domain: zone.test
    storage: %[1]q
    file: zone.db
    acl: fleet
`
)

func TestZone_KeepsTheContractOnBIND(t *testing.T) {
	for mode, who := range map[string]string{"Transfer": "key fleet", "Queries": "none"} {
		t.Run(mode, func(t *testing.T) {
			zonetest.Run(t, func(t *testing.T) dnsaddr.Zone { return open(t, bind(t, who)) })
		})
	}
}

func TestZone_KeepsTheContractOnKnot(t *testing.T) {
	for mode, actions := range map[string]string{"Transfer": "update, transfer", "Queries": "update"} {
		t.Run(mode, func(t *testing.T) {
			zonetest.Run(t, func(t *testing.T) dnsaddr.Zone { return open(t, knot(t, actions)) })
		})
	}
}

// What real servers say to a key that is wrong or may too little.
func TestZone_RefusalsOfRealServersAreErrAuth(t *testing.T) {
	for server, start := range map[string]func() rfc2136.Config{
		"BIND": func() rfc2136.Config { return bind(t, "key fleet") },
		"Knot": func() rfc2136.Config { return knot(t, "update, transfer") },
	} {
		cfg := start()
		for what, c := range map[string]struct {
			change func(*rfc2136.Config)
			says   string
		}{
			"unknown key":            {func(c *rfc2136.Config) { c.KeyName = "stranger" }, "BADKEY"},
			"other secret":           {func(c *rfc2136.Config) { c.Secret = given(otherSecret) }, "BADSIG"},
			"key that may only read": {func(c *rfc2136.Config) { c.KeyName = "reader" }, ""},
		} {
			t.Run(server+"/"+what, func(t *testing.T) {
				cfg := cfg
				c.change(&cfg)
				err := open(t, cfg).Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
				if !errors.Is(err, dnsaddr.ErrAuth) || !strings.Contains(err.Error(), c.says) || hint(err) == "" {
					t.Errorf("got %v with the hint %q; want %v that says %q", err, hint(err), dnsaddr.ErrAuth, c.says)
				}
				t.Logf("%v\nhint: %s", err, hint(err))
			})
		}
	}
}

func bind(t *testing.T, transfers string) rfc2136.Config {
	t.Helper()
	return primary(t, "named.conf", namedConf, transfers, "named", "-g", "-c")
}

func knot(t *testing.T, actions string) rfc2136.Config {
	t.Helper()
	return primary(t, "knot.conf", knotConf, actions, "knotd", "-c")
}

// primary runs a real server until the test ends, and returns what a zone there needs.
func primary(t *testing.T, file, conf, who, program string, args ...string) rfc2136.Config {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	for name, text := range map[string]string{"zone.db": zoneFile, file: fmt.Sprintf(conf, dir, port, rfctest.Secret, who)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out lines
	cmd := exec.Command(program, append(args, filepath.Join(dir, file))...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdout, cmd.Stderr = &out, &out
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", program)); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s (packages bind9 and knot): %v", program, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%.4000s", program, out.String())
		}
	})
	cfg := rfc2136.Config{
		Domain: domain, Server: fmt.Sprintf("127.0.0.1:%d", port), KeyName: rfctest.KeyName, Secret: given(rfctest.Secret),
		Waits: rfc2136.Waits{Packet: time.Second},
	}
	z := open(t, cfg)
	for deadline := time.Now().Add(30 * time.Second); ; {
		s := z.Status(t.Context())
		if s.Serving {
			return cfg
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve: %s\n%s", program, s.Reason, out.String())
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", program, out.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// lines is what a server says.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
