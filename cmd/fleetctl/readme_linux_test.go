package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest/box"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// everyStage reports whether this system has a stage for every section.
const everyStage = true

// cloudStages are the sections that need more than one address on loopback.
func cloudStages() map[string]func(*testing.T) *stage {
	return map[string]func(*testing.T) *stage{
		"On DigitalOcean":        oceanStage,
		"Take over an old fleet": takeOverStage,
		"Machines of your own":   ownStage,
	}
}

// testCloud is a simulated DigitalOcean with machines behind its droplets.
type testCloud struct {
	*dotest.Cloud
	boxes *box.Cloudlike
	login string // private key file of the operator, who can log into droplets of others
	key   string // its public half
}

// newCloudStage is a fleet whose fleetctl finds a cloud in its environment.
func newCloudStage(t *testing.T, name string) (*stage, *testCloud) {
	t.Helper()
	s := newStageFleet(t, name)
	c := &testCloud{boxes: box.New(filepath.Join(s.dir, "cloud"), nil)}
	c.Cloud = dotest.New(dotest.Config{Boxes: c.boxes})
	server := httptest.NewServer(c.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s.endZone()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close the cloud: %v", err)
		}
		server.Close()
		if err := c.boxes.Close(ctx); err != nil {
			t.Errorf("close the boxes: %v", err)
		}
		for _, v := range c.Violations() {
			t.Errorf("the cloud: %s", v)
		}
	})
	s.env = []string{
		"HOME=" + s.dir, "SSH_AUTH_SOCK=", "DIGITALOCEAN_ACCESS_TOKEN=",
		"DIGITALOCEAN_TOKEN=" + dotest.DefaultToken, "DIGITALOCEAN_API_URL=" + server.URL,
	}
	must(t, "make ~/.ssh", os.MkdirAll(filepath.Join(s.dir, ".ssh"), 0o700))
	c.login = filepath.Join(s.dir, ".ssh/id_ed25519")
	key, err := sshx.GenerateKey(c.login)
	must(t, "make a key", err)
	c.key = key.PublicKey
	s.write(".ssh/id_ed25519.pub", c.key+" you@harbour\n")
	return s, c
}

// endZone ends the server of the fleet's zone, which a stage that failed half-way leaves.
func (s *stage) endZone() {
	s.t.Helper()
	var supervisor struct {
		Proc struct {
			PID int `json:"pid"`
		} `json:"proc"`
	}
	text, err := os.ReadFile(filepath.Join(s.state, "fleetctl", s.name, "supervisor.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &supervisor)
	}
	pid := supervisor.Proc.PID
	if err == nil && alive(pid) {
		err = syscall.Kill(pid, syscall.SIGTERM)
	}
	must(s.t, "end the zone's server", err)
	deadline := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); alive(pid); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("the zone's server, process %d, still runs after 20 s", pid)
		}
	}
}

// write writes a file below the stage's directory.
func (s *stage) write(name, text string) {
	s.t.Helper()
	must(s.t, "write "+name, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// edit replaces the line of fleet.yaml that holds a text by others.
func (s *stage) edit(holds string, lines ...string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "fleet.yaml"))
	must(s.t, "read fleet.yaml", err)
	var out []string
	found := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, holds) {
			found, out = true, append(out, lines...)
			continue
		}
		out = append(out, line)
	}
	if !found {
		s.t.Fatalf("fleet.yaml: no line holds %q\n%s", holds, text)
	}
	s.write("fleet.yaml", strings.Join(out, "\n")+"\n")
}

// hurry makes the waits of a fleet.yaml as short as they go, and SSH listen where root is
// not needed.
func (s *stage) hurry() {
	s.edit("  ttl: 300", "  ttl: 1")
	s.edit("drain_timeout: 10m", "  drain_timeout: 1s", "  min_healthy_time: 0s")
	if text, err := os.ReadFile(filepath.Join(s.dir, "fleet.yaml")); err == nil && strings.Contains(string(text), "max_machines: ") {
		s.edit("max_machines: 5", "  max_machines: 5", "  ssh_port: 2222")
	}
}

// oceanStage is an account without droplets, and a colleague's key.
func oceanStage(t *testing.T) *stage {
	s, c := newCloudStage(t, "harbour")
	ada, err := sshx.GenerateKey(filepath.Join(s.dir, ".ssh/ada"))
	must(t, "make a key", err)
	s.write("ada.pub", ada.PublicKey+" ada@harbour\n")
	kim, err := sshx.GenerateKey(filepath.Join(s.dir, ".ssh/kim"))
	must(t, "make a key", err)
	s.write("kim.pub", kim.PublicKey+" kim@harbour\n")
	s.write("motd", "harbour\n")
	s.before = once("fleetctl plan", s.hurry)
	s.end = func() {
		s.gone(nil)
		if left := c.Droplets(dotest.DefaultToken); len(left) != 0 {
			t.Errorf("droplets that are left: got %v, want none", left)
		}
	}
	return s
}

// takeOverStage is an account with three relays that nobody made with fleetctl.
func takeOverStage(t *testing.T) *stage {
	s, c := newCloudStage(t, "harbour")
	for _, region := range []string{"nyc1", "fra1", "sgp1"} {
		id := c.oldDroplet(t, "bitterbot-"+region, region)
		c.oldRelay(t, id)
		s.write(region+"-1.sha256", c.fingerprint(t, id))
	}
	s.before = once("grep ssh_keys", func() {
		s.hurry()
		s.edit("# ssh_keys:", "  ssh_keys: [~/.ssh/id_ed25519.pub]  # the key that the old droplets let in")
	})
	s.end = func() {
		out := s.shell("fleetctl release fra1-1 --yes --quiet && fleetctl down --yes --expect-count 1 --quiet --machine-gone fra1-1 --machine-gone sgp1-1")
		s.gone(nil)
		left := c.Droplets(dotest.DefaultToken)
		for _, d := range left {
			if !slices.Equal(d.Tags, []string{"bitterbot"}) || c.boxes.PID(d.ID) == 0 {
				t.Errorf("droplet %s: got tags %q, process %d, want bitterbot alone and the relay running", d.Name, d.Tags, c.boxes.PID(d.ID))
			}
		}
		if len(left) != 2 {
			t.Errorf("got %d droplets at the end, want the two that were released\n%s", len(left), out)
		}
	}
	return s
}

// ownStage is three machines that let root in, and an inventory of them.
func ownStage(t *testing.T) *stage {
	s, c := newCloudStage(t, "harbour")
	inventory := "[bare-metal]\n"
	for _, region := range []string{"nyc1", "fra1", "sgp1"} {
		id := c.oldDroplet(t, region, region)
		s.write(region+"-1.sha256", c.fingerprint(t, id))
		inventory += fmt.Sprintf("%s-1 ansible_host=%s ansible_port=2222\n", region, c.address(t, id))
	}
	s.write("inventory.ini", inventory+"[bare-metal:vars]\nansible_user=root\nansible_ssh_private_key_file=~/.ssh/id_ed25519\n")
	s.before = once("fleetctl config validate", func() {
		s.hurry()
		s.edit("203.0.113.20")
		s.edit("203.0.113.30")
		s.edit("hosts:  ")
		s.edit("203.0.113.10", strings.TrimSuffix(s.shell("fleetctl import ansible inventory.ini --region-from name"), "\n"))
	})
	s.end = func() { s.gone(nil) }
	return s
}

// once calls do before the first command that begins with a word.
func once(begins string, do func()) func(string) {
	done := false
	return func(command string) {
		if !done && strings.HasPrefix(command, begins) {
			done = true
			do()
		}
	}
}

// oldDroplet is a droplet that lets root in with the operator's key.
func (c *testCloud) oldDroplet(t *testing.T, name, region string) int {
	t.Helper()
	id, err := c.AddDroplet(t.Context(), dotest.DefaultToken, dotest.Machine{
		Name: name, Region: region, Tags: []string{"bitterbot"}, PublicKeys: []string{c.key},
		UserData: "#cloud-config\nwrite_files: [{path: /etc/ssh/sshd_config.d/port.conf, content: Port 2222}]\n",
	})
	must(t, "add droplet "+name, err)
	return id
}

// oldRelay installs a relay as somebody did it by hand years ago, and starts it.
func (c *testCloud) oldRelay(t *testing.T, id int) {
	t.Helper()
	put := func(name, text string, mode fs.FileMode) {
		file := filepath.Join(c.boxes.Root(id), name)
		must(t, name, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, name, os.WriteFile(file, []byte(text), mode))
	}
	spec := fleet.Defaults("bitterbot", fleet.ProviderDigitalOcean, "local", []fleet.NodeSpec{{Region: "nyc1"}})
	put("etc/relay/relay.yaml", fleet.RelayConfig(spec, fleet.Machine{Node: "old", Addrs: []netip.Addr{c.address(t, id)}, State: oldState, Ports: fleet.Ports{TCP: 9100, QUIC: 9101}}), 0o644)
	put("etc/systemd/system/relay.service", "[Service]\nType=notify\nExecStart=/opt/relay/current/relay run --config /etc/relay/relay.yaml\n", 0o644)
	must(t, "its state", os.MkdirAll(filepath.Join(c.boxes.Root(id), oldState), 0o700))
	binary, err := os.ReadFile(relayBinary(t))
	must(t, "read the relay", err)
	put("opt/relay/current/relay", string(binary)+"another build", 0o755)

	at := sshx.Target{Addr: net.JoinHostPort(c.address(t, id).String(), "2222"), User: "root"}
	pins, err := sshx.OpenPins(filepath.Join(t.TempDir(), "known_hosts"))
	must(t, "pins", err)
	must(t, "pin", pins.Set(at.Addr, c.hostKey(t, id)))
	client, err := sshx.New(sshx.Config{Pins: pins, Auth: sshx.Auth{KeyFile: c.login}})
	must(t, "ssh", err)
	defer func() { must(t, "close ssh", client.Close()) }()
	for _, argv := range [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", "relay.service"}, {"systemctl", "start", "relay.service"}} {
		res, err := client.Run(t.Context(), at, sshx.Command{Argv: argv})
		must(t, strings.Join(argv, " "), err)
		if res.ExitCode != 0 {
			log, _ := client.Run(t.Context(), at, sshx.Command{Argv: []string{"journalctl", "-u", "relay.service", "-n", "20", "--no-pager", "-o", "short-iso"}})
			t.Fatalf("%q: got exit %d, %s%s, want 0", argv, res.ExitCode, res.Stderr, log.Stdout)
		}
	}
	for _, ours := range []string{"opt/relay", "etc/relay", "etc/systemd/system/relay.service"} { // it is not where fleetctl puts things
		must(t, "hide "+ours, os.RemoveAll(filepath.Join(c.boxes.Root(id), ours)))
	}
}

// hostKey is what somebody reads at a machine's console.
func (c *testCloud) hostKey(t *testing.T, id int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.boxes.Root(id), "etc/ssh/ssh_host_ed25519_key.pub"))
	must(t, "read the host key", err)
	key, err := sshx.PublicKey(text)
	must(t, "read the host key", err)
	return key
}

func (c *testCloud) fingerprint(t *testing.T, id int) string {
	t.Helper()
	print, err := sshx.Fingerprint(c.hostKey(t, id))
	must(t, "fingerprint", err)
	return print + "\n"
}

func (c *testCloud) address(t *testing.T, id int) netip.Addr {
	t.Helper()
	for _, d := range c.Droplets(dotest.DefaultToken) {
		if d.ID == id && len(d.Addrs) > 0 {
			return d.Addrs[0]
		}
	}
	t.Fatalf("droplet %d has no address", id)
	return netip.Addr{}
}
