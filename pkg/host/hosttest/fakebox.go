package hosttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/relayfleet/fleetctl/fleet/fleettest"
	"github.com/relayfleet/fleetctl/pkg/host"
)

// fakePeers are peer IDs that boxes get, in order.
var fakePeers = [...]string{
	"12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
	"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
	"12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba",
}

// FakeBox is one box in memory. Its relay runs whatever binary is current: one that
// contains the word "broken" ends at once, and so does any with a configuration that
// contains it.
type FakeBox struct {
	mu       sync.Mutex
	files    map[string][]byte
	links    map[string]string
	releases []string // newest first
	enabled  bool
	pid      int
	started  int
	running  string // SHA-256 of the process
	state    string // ActiveState
	journal  []string
	peer     string
	number   int // of the box in its data centre, from 0
	held     int

	down    error // what every call gets instead of an answer
	routes  map[string]http.HandlerFunc
	replies map[string]reply
	uname   string
	sys     *fakeSystem // nil: a box without a system of its own
}

// peerOf is the peer ID of the n-th box.
func peerOf(n int) string {
	if n < len(fakePeers) {
		return fakePeers[n]
	}
	return fleettest.PeerID(fmt.Sprintf("box %d", n))
}

// Serves reports whether the relay of the box runs and grants reservations.
func (b *FakeBox) Serves() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, draining := b.files[host.DrainMark]
	return b.pid != 0 && b.down == nil && !draining
}

// reply is a scripted answer to a command.
type reply struct {
	out  string
	code int
}

func newFakeBox(n int) *FakeBox {
	return &FakeBox{
		files: make(map[string][]byte), links: make(map[string]string), state: "inactive",
		number: n, peer: peerOf(n), routes: make(map[string]http.HandlerFunc),
		replies: make(map[string]reply), uname: "Linux x86_64",
	}
}

// Unreachable makes every call fail with err; nil makes the box answer again.
func (b *FakeBox) Unreachable(err error) { b.set(func() { b.down = err }) }

// Reply scripts the answer to the command that begins with these words.
func (b *FakeBox) Reply(words, out string, code int) {
	b.set(func() { b.replies[words] = reply{out, code} })
}

// Route makes the daemon answer one path of its API in another way.
func (b *FakeBox) Route(path string, h http.HandlerFunc) { b.set(func() { b.routes[path] = h }) }

// Hold sets how many reservations the relay holds.
func (b *FakeBox) Hold(n int) { b.set(func() { b.held = n }) }

// Kill ends the relay's process as kill -9 does.
func (b *FakeBox) Kill() { b.set(func() { b.pid, b.state = 0, "failed" }) }

// Started is how many processes the box has started.
func (b *FakeBox) Started() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.started
}

// PeerID is that of the relay that runs here.
func (b *FakeBox) PeerID() string { return b.peer }

func (b *FakeBox) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *FakeBox) reach(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return b.down
	}
	return ctx.Err()
}

// command is the table of a box.
func (b *FakeBox) command(argv []string) (out string, code int) {
	if n, ok := host.ParseNoted(argv); ok {
		out, code = b.command(n.Argv)
		b.put(n.Log, append(b.files[b.resolve(n.Log)], n.Line+host.Ended(code)...))
		return out, code
	}
	line := strings.Join(argv, " ")
	for words, r := range b.replies {
		if strings.HasPrefix(line, words) {
			return r.out, r.code
		}
	}
	last := argv[len(argv)-1]
	if argv[0] == host.Binary && b.sys != nil {
		return b.keep(argv)
	}
	switch argv[0] {
	case "uname":
		return b.uname + "\n", 0
	case "mkdir":
		if path.Dir(last) == host.Releases {
			b.touch(path.Base(last))
		}
		return "", 0
	case "sha256sum":
		data, ok := b.files[b.resolve(last)]
		if !ok {
			return "sha256sum: " + last + ": No such file or directory\n", 1
		}
		return hexDigest(data) + "  " + last + "\n", 0
	case "ln":
		b.links[last] = argv[2]
		return "", 0
	case "mv":
		return b.move(argv[2], last)
	case "readlink":
		if b.links[last] == "" {
			return "", 1
		}
		return b.links[last] + "\n", 0
	case "ls":
		if last != host.Releases {
			return b.list(last)
		}
		return strings.Join(b.releases, "\n") + "\n", 0
	case "rm":
		b.remove(last)
		if last == host.Releases {
			b.releases = nil
		}
		return "", 0
	case "rmdir":
		if b.holds(last) {
			return "rmdir: failed to remove '" + last + "': Directory not empty\n", 1
		}
		return "", 0
	case "journalctl":
		return strings.Join(b.journal, "\n") + "\n", 0
	case "systemctl":
		if last == host.Unit || b.sys == nil {
			return b.systemctl(argv[1])
		}
	}
	if b.sys != nil {
		return b.systemCommand(argv)
	}
	return argv[0] + ": not found: this box answers a fixed table of commands\n", 127
}

// list names the files of a directory, in no order of time.
func (b *FakeBox) list(dir string) (string, int) {
	var names []string
	for name := range b.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	if len(names) == 0 {
		return "ls: cannot access '" + dir + "': No such file or directory\n", 2
	}
	slices.Sort(names)
	return strings.Join(names, "\n") + "\n", 0
}

// TakeImport merges a census that was dropped, as the daemon does: it is renamed.
// It reports whether there was one.
func (b *FakeBox) TakeImport() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.files[host.ImportFile]
	if ok {
		b.files[host.ImportFile+".merged-20261121T040000Z"] = data
		delete(b.files, host.ImportFile)
	}
	return ok
}

func (b *FakeBox) remove(dir string) {
	for name := range b.files {
		if strings.HasPrefix(name, dir+"/") {
			delete(b.files, name)
		}
	}
	b.releases = slices.DeleteFunc(b.releases, func(r string) bool { return r == path.Base(dir) })
}

// holds reports whether anything is left below a directory.
func (b *FakeBox) holds(dir string) bool {
	for name := range b.files {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

func (b *FakeBox) systemctl(verb string) (string, int) {
	switch verb {
	case "show":
		result := "success"
		if b.state == "failed" {
			result = "exit-code"
		}
		return fmt.Sprintf("ActiveState=%s\nSubState=running\nResult=%s\nNRestarts=0\nMainPID=%d\nExecMainStatus=1\n", b.state, result, b.pid), 0
	case "enable", "disable":
		if b.sys != nil && b.files[host.UnitFile] == nil {
			return "Failed to " + verb + " unit: Unit file " + host.Unit + " does not exist.\n", 1
		}
		b.enabled = verb == "enable"
	case "stop":
		b.pid, b.state = 0, "inactive"
	case "restart", "start":
		if verb == "start" && b.pid != 0 {
			return "", 0
		}
		b.start()
	default:
		return "Unknown command verb " + verb, 1
	}
	return "", 0
}

func (b *FakeBox) start() {
	if b.sys != nil && !b.sys.fit(b) {
		b.started++
		b.pid, b.state = 0, "failed"
		return
	}
	b.launch()
}

// launch starts the relay's process.
func (b *FakeBox) launch() {
	binary := b.files[b.resolve(host.Binary)]
	config := string(b.files[host.ConfigFile])
	b.started++
	if binary == nil || strings.Contains(string(binary), "broken") || strings.Contains(config, "broken") {
		b.pid, b.state = 0, "failed"
		b.journal = append(b.journal, "2026-11-21T04:00:00+0000 box relay[1]: \x1b[31mit is broken\x1b[0m")
		return
	}
	b.pid, b.state, b.running = 1000+b.started, "active", hexDigest(binary)
	b.put(host.PeerIDFile, []byte(b.peer+"\n"))
	b.journal = append(b.journal, "2026-11-21T04:00:00+0000 box relay[1]: Local peer ID: "+b.peer)
}

// serve answers requests on one connection until it closes.
func (b *FakeBox) serve(conn net.Conn) {
	l := &oneConn{conn: conn, closed: make(chan struct{})}
	s := &http.Server{Handler: http.HandlerFunc(b.answer), ConnState: func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed || st == http.StateHijacked {
			_ = l.Close()
		}
	}}
	_ = s.Serve(l)
}

func (b *FakeBox) answer(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	route := b.routes[r.URL.Path]
	_, draining := b.files[host.DrainMark]
	running, held := b.running, b.held
	b.mu.Unlock()
	var body any
	switch {
	case route != nil:
		route(w, r)
		return
	case r.URL.Path == "/readyz" && draining:
		w.WriteHeader(http.StatusServiceUnavailable)
		body = map[string]any{"ready": false, "draining": true, "reason": "draining"}
	case r.URL.Path == "/readyz":
		body = map[string]any{"ready": true, "reason": ""}
	case r.URL.Path == "/api/version":
		body = map[string]any{"version": "v1.2.3", "sha256": running, "peer_id": b.peer}
	case r.URL.Path == "/api/reservations":
		body = map[string]any{"active": held}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	taken  bool
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, io.EOF
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
