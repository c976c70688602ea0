package sshx_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
)

// BenchmarkFanOut runs one command on every box, each time over new connections, with a
// Client and with bare x/crypto/ssh in turn. "ratio" is Client over bare.
func BenchmarkFanOut(b *testing.B) {
	for _, bc := range []struct {
		boxes int
		delay time.Duration
	}{{100, 40 * time.Millisecond}, {3, 0}} {
		b.Run(fmt.Sprintf("boxes=%d/delay=%v", bc.boxes, bc.delay), func(b *testing.B) {
			boxes := make([]*sshtest.Box, bc.boxes)
			for i := range boxes {
				boxes[i] = sshtest.Start(b, sshtest.WithExec(shell), sshtest.WithDelay(bc.delay))
			}
			pins := sshtest.Pins(b, boxes...)
			var ours, bare time.Duration
			for b.Loop() {
				bare += timed(func() { fanOut(b, boxes, bareRun) })
				c := sshtest.Client(b, sshx.Config{Pins: pins}, boxes...)
				ours += timed(func() {
					fanOut(b, boxes, func(box *sshtest.Box) error {
						_, err := c.Run(b.Context(), box.Target(""), echo)
						return err
					})
				})
				_ = c.Close()
			}
			b.ReportMetric(float64(ours)/float64(bare), "ratio")
			b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ours-ms/op")
			b.ReportMetric(float64(bare.Milliseconds())/float64(b.N), "bare-ms/op")
		})
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func fanOut(b *testing.B, boxes []*sshtest.Box, run func(*sshtest.Box) error) {
	var wg sync.WaitGroup
	for _, box := range boxes {
		wg.Go(func() {
			if err := run(box); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

// bareRun is the least that runs a command with a checked host key.
func bareRun(box *sshtest.Box) error {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(box.HostKey))
	if err != nil {
		return err
	}
	nc, err := net.Dial("tcp", box.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	sc, chans, reqs, err := ssh.NewClientConn(nc, box.Addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(box.Signer)}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		return err
	}
	client := ssh.NewClient(sc, chans, reqs)
	sess, err := client.NewSession()
	if err != nil {
		return err
	}
	_, err = sess.Output("echo")
	return err
}
