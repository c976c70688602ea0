package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is three programs: the tests, the supervisor that they start, and the relay
// that the supervisor starts.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "relay":
		syscall.Exit(fakeRelay(os.Args[1:])) // os.Exit takes a second under the race detector
	case len(os.Args) == 3 && os.Args[1] == "supervise":
		syscall.Exit(superviseMain(os.Args[2]))
	}
	tmp, err := os.MkdirTemp("", "local")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("TMPDIR", tmp); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left, _ := filepath.Glob(filepath.Join(tmp, "*", "*")); code == 0 && len(left) > 0 {
			fmt.Fprintln(os.Stderr, "left behind:", left)
			code = 1
		}
		_ = os.RemoveAll(tmp)
		os.Exit(code)
	}))
}

// superviseMain is `fleetctl supervise DIR`.
func superviseMain(dir string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := NewSupervisor(SupervisorConfig{Dir: dir, StopGrace: time.Second, Log: log}).Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fakeConfig is the configuration of the relay of these tests.
type fakeConfig struct {
	TCP, QUIC, API int
	Exit           int  // ends at once with this code
	Stubborn       bool // does not end when it is asked to
}

// fakeRelay is the relay of these tests: it locks its state, says so, and echoes.
func fakeRelay(args []string) int {
	if len(args) != 3 || args[0] != "run" {
		fmt.Println(strings.Join(args, " "), os.Getenv("SECRET"))
		return 0
	}
	var cfg fakeConfig
	text, err := os.ReadFile(args[2])
	if err == nil {
		err = json.Unmarshal(text, &cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	state := filepath.Join(filepath.Dir(args[2]), "../../var/lib/relay")
	lock, err := tryLock(filepath.Join(state, "relay.lock"))
	if err != nil || lock == nil {
		fmt.Fprintln(os.Stderr, "locked", err)
		return 1
	}
	_ = os.WriteFile(lock.Path(), fmt.Append(nil, os.Getpid()), 0o600)
	if cfg.Exit != 0 {
		return cfg.Exit
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if err := fakeServe(cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("Local peer ID: fake")
	for {
		<-term
		if !cfg.Stubborn {
			return 0
		}
	}
}

func fakeServe(cfg fakeConfig) error {
	l, err := net.Listen("tcp", loopback(cfg.TCP))
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", loopback(cfg.QUIC))
	if err != nil {
		return err
	}
	api, err := net.Listen("tcp", loopback(cfg.API))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := u.ReadFrom(b)
			if err == nil {
				_, _ = u.WriteTo(b[:n], from)
			}
		}
	}()
	go func() {
		_ = http.Serve(api, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })) //nolint:gosec // of a test
	}()
	return nil
}
