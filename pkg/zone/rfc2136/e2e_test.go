//go:build e2e

package rfc2136_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
			zonetest.Run(t, func(t *testing.T) dnsaddr.Zone { return primary(t, "named.conf", namedConf, who, "named", "-g", "-c") })
		})
	}
}

func TestZone_KeepsTheContractOnKnot(t *testing.T) {
	for mode, actions := range map[string]string{"Transfer": "update, transfer", "Queries": "update"} {
		t.Run(mode, func(t *testing.T) {
			zonetest.Run(t, func(t *testing.T) dnsaddr.Zone { return primary(t, "knot.conf", knotConf, actions, "knotd", "-c") })
		})
	}
}

// primary runs a real server until the test ends.
func primary(t *testing.T, file, conf, who, program string, args ...string) dnsaddr.Zone {
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
	z := open(t, rfc2136.Config{
		Domain: domain, Server: fmt.Sprintf("127.0.0.1:%d", port), KeyName: rfctest.KeyName, Secret: given(rfctest.Secret),
		Waits: rfc2136.Waits{Packet: time.Second},
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		s := z.Status(t.Context())
		if s.Serving {
			return z
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
