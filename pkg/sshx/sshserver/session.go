package sshserver

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/google/shlex"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

const maxCommand = 1 << 20 // bytes of one command line

// serveSession runs the one command, or SFTP, of a session.
func (s *Server) serveSession(ctx context.Context, nch ssh.NewChannel) {
	ch, reqs, err := nch.Accept()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() { _ = ch.Close() }()
	started := false
	for req := range reqs { // ends when the client closes the channel, or the connection is lost
		switch req.Type {
		case "exec", "subsystem":
			var text struct{ Value string }
			if started || ssh.Unmarshal(req.Payload, &text) != nil || len(text.Value) > maxCommand {
				_ = req.Reply(false, nil)
				continue
			}
			if req.Type == "subsystem" && (text.Value != "sftp" || s.Root == nil) {
				_ = req.Reply(false, nil)
				continue
			}
			started = true
			_ = req.Reply(true, nil)
			wg.Go(func() {
				// Closing the channel from here lets the loop above end.
				defer func() { _ = ch.Close() }()
				if req.Type == "subsystem" {
					s.serveSFTP(ch) // its last answer may still be on the way: no CloseWrite
					return
				}
				argv, err := shlex.Split(text.Value)
				if err != nil || len(argv) == 0 {
					_, _ = fmt.Fprintf(ch.Stderr(), "cannot parse the command: %q\n", clip(text.Value))
					finish(ch, 2)
					return
				}
				if s.Sudo && s.Root != nil && slices.Equal(argv, sshx.SudoSFTP()) {
					s.serveSFTP(ch)
					return
				}
				finish(ch, s.exec(ctx, argv, ch))
			})
		case "signal":
			cancel()
			_ = req.Reply(true, nil)
		case "env":
			_ = req.Reply(true, nil) // accepted and ignored: commands take no environment
		default:
			_ = req.Reply(false, nil) // shell, pty-req and the rest
		}
	}
}

// finish ends the output of a command and tells its exit code.
func finish(ch ssh.Channel, code int) {
	_ = ch.CloseWrite()
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)})) // #nosec G115 -- exit codes are small
}

func (s *Server) exec(ctx context.Context, argv []string, ch ssh.Channel) int {
	if s.Sudo {
		probe := sshx.SudoProbe()
		if slices.Equal(argv, probe) {
			return 0
		}
		prefix := probe[:len(probe)-1]
		if len(argv) > len(prefix) && slices.Equal(argv[:len(prefix)], prefix) {
			argv = argv[len(prefix):]
		}
	}
	if s.Exec == nil {
		_, _ = fmt.Fprintf(ch.Stderr(), "%q: not found\n", clip(argv[0]))
		return 127
	}
	return s.Exec(ctx, argv, ch, ch, ch.Stderr())
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (s *Server) serveSFTP(ch io.ReadWriteCloser) {
	j := jail{root: s.Root}
	srv := sftp.NewRequestServer(newSyncFilter(ch), sftp.Handlers{FileGet: j, FilePut: j, FileCmd: j, FileList: j})
	_ = srv.Serve()
	_ = srv.Close()
}
