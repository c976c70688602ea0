package box

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// notifier is systemd's end of sd_notify(3): what the relay says of itself.
type notifier struct {
	conn *net.UnixConn

	mu    sync.Mutex
	ready bool
	heard time.Time // the last word, or the start
}

func newNotifier() (*notifier, error) {
	name := "@fleetctl-dotest-notify-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	return &notifier{conn: conn}, nil
}

// address is the value of NOTIFY_SOCKET.
func (n *notifier) address() string { return n.conn.LocalAddr().String() }

// begin forgets what an earlier process said.
func (n *notifier) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ready, n.heard = false, time.Now()
}

func (n *notifier) isReady() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready
}

// silent is for how long nothing was heard.
func (n *notifier) silent() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.heard)
}

// listen takes messages until the socket is closed.
func (n *notifier) listen() {
	buf := make([]byte, 4096)
	for {
		size, _, err := n.conn.ReadFromUnix(buf)
		if err != nil {
			return
		}
		n.mu.Lock()
		for line := range strings.Lines(string(buf[:size])) {
			switch strings.TrimSpace(line) {
			case "READY=1":
				n.ready, n.heard = true, time.Now()
			case "WATCHDOG=1":
				n.heard = time.Now()
			}
		}
		n.mu.Unlock()
	}
}

func (n *notifier) close() error { return n.conn.Close() }
