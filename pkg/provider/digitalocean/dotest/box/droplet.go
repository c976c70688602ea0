package box

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshserver"
)

// apiPort is where the daemon's API answers as seen from the machine.
const apiPort = 9847

// tick is how often the machine's keeper looks after its relay.
const tick = 20 * time.Millisecond

// droplet is one machine.
type droplet struct {
	id      int
	dir     string
	restart time.Duration // at most, 0: as the unit says
	log     *slog.Logger
	addr    netip.Addr
	port    int // of SSH
	user    string
	jail    *os.Root
	unit    *boxsim.Unit
	units   units
	first   firstBoot

	mu     sync.Mutex // one change of its power at a time
	spare  net.Listener
	server *sshserver.Server
	notify *notifier
	stop   context.CancelFunc // ends the keeper; nil while the power is off
	wg     sync.WaitGroup     // keeper and server
	razed  bool
}

func (d *droplet) root() string { return boxsim.Root(d.dir) }

func (d *droplet) disk() disk { return disk{d.jail} }

// install makes the disk and does what cloud-init does at the first boot.
func (d *droplet) install(n *network, m dotest.Machine) error {
	if err := os.MkdirAll(d.root(), 0o700); err != nil {
		return err
	}
	var err error
	if d.jail, err = os.OpenRoot(d.root()); err != nil {
		return err
	}
	d.user, d.first = cloudInit(d.disk(), m)
	sshd, err := readSSHD(d.jail)
	if err != nil {
		return fmt.Errorf("sshd: %w", err)
	}
	d.port = sshd.port
	if d.addr, d.spare, err = n.join(d.port); err != nil {
		return err
	}
	d.unit = &boxsim.Unit{
		Box: m.Name, Dir: d.dir, Jail: d.jail, Journal: boxsim.NewJournal(d.dir), Bound: true,
		Config: d.runtimeConfig(), Program: d.program, Grace: stopTimeout, Log: d.log,
	}
	return d.unit.Load()
}

// on gives the machine power: SSH answers when it returns. d.mu is held.
func (d *droplet) on() error {
	if d.stop != nil {
		return nil
	}
	sshd, err := readSSHD(d.jail)
	if err != nil {
		return fmt.Errorf("sshd: %w", err)
	}
	listener := d.spare
	d.spare = nil
	if listener == nil {
		d.port = sshd.port
		if listener, err = listen(d.addr, d.port); err != nil {
			return fmt.Errorf("sshd: %w", err)
		}
	}
	if d.notify, err = newNotifier(); err != nil {
		return errors.Join(err, listener.Close())
	}
	d.server = &sshserver.Server{
		HostKeys: sshd.keys, AuthorizedKeys: d.keys, User: d.user, Sudo: true, Exec: d.exec, Root: d.jail,
		AllowTunnel: func(host string, port uint32) (string, bool) {
			return netip.AddrPortFrom(d.addr, apiPort).String(), port == apiPort && (host == "127.0.0.1" || host == "localhost")
		},
		Log: d.log,
	}
	d.units.reload(d.jail, d.unit, d.restart)
	d.unit.Power()
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	server, notify := d.server, d.notify
	d.wg.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, sshserver.ErrClosed) {
			d.log.Error("ssh server ended", slog.Any("error", err))
		}
	})
	d.wg.Go(notify.listen)
	d.wg.Go(func() { d.keep(ctx, notify) })
	return nil
}

// keep is the machine's systemd, as long as there is power.
func (d *droplet) keep(ctx context.Context, notify *notifier) {
	var starts sync.WaitGroup
	defer starts.Wait()
	starts.Go(d.unit.Boot) // what comes up is not waited for
	every := time.NewTicker(tick)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		d.unit.Tend()
		if limit := d.units.relay().watchdog; limit > 0 && d.unit.Poll().Active == boxsim.Active && notify.silent() > limit {
			if err := d.unit.Bark(); err != nil {
				d.log.WarnContext(ctx, "watchdog", slog.Any("error", err))
			}
		}
		if err := d.unit.Journal.Rotate(); err != nil {
			d.log.WarnContext(ctx, "journal was not rotated", slog.Any("error", err))
		}
	}
}

// off takes the power away. d.mu is held.
func (d *droplet) off() error {
	if d.stop == nil {
		return nil
	}
	d.stop()
	err := d.unit.Cut()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = errors.Join(err, d.server.Shutdown(ctx), d.notify.close())
	d.wg.Wait()
	d.stop, d.server, d.notify = nil, nil, nil
	return err
}

// raze removes machine and disk. d.mu is held.
func (d *droplet) raze() error {
	err := d.off()
	if d.spare != nil {
		err = errors.Join(err, d.spare.Close())
		d.spare = nil
	}
	if err != nil {
		return err
	}
	if d.jail != nil && !d.razed {
		err = d.jail.Close()
	}
	d.razed = true
	return errors.Join(err, os.RemoveAll(d.dir))
}

// keys are those that may log in now.
func (d *droplet) keys() ([]ssh.PublicKey, error) {
	text, err := d.jail.ReadFile(authorizedKeys(d.user))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return sshserver.ParseAuthorizedKeys(text)
}

// exec runs what the table has for argv.
func (d *droplet) exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return d.table().Run(ctx, argv, boxsim.Call{Dir: d.dir, Jail: d.jail, Unit: d.unit, Stdin: stdin, Stdout: stdout, Stderr: stderr})
}
