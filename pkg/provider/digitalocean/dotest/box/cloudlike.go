package box

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// Cloudlike are the machines of one simulated cloud. Methods may be called at once.
type Cloudlike struct {
	// RestartDelay bounds the pause of a unit (RestartSec) before a relay that died is
	// started again; 0 leaves it. Set it before the first Boot.
	RestartDelay time.Duration

	dir string
	log *slog.Logger
	net *network

	mu     sync.Mutex
	boxes  map[int]*droplet
	closed bool
}

var _ dotest.Boxes = (*Cloudlike)(nil)

// New makes a cloud's machines below dir, one directory each, made when it is needed.
// log, which may be nil, gets what a data centre's staff would see.
func New(dir string, log *slog.Logger) *Cloudlike {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Cloudlike{dir: dir, log: log, net: &network{}, boxes: map[int]*droplet{}}
}

// errGone is the answer of a machine that is not there.
var errGone = errors.New("no such machine")

// Boot makes a machine of its user data and switches it on. If it fails nothing is left.
func (c *Cloudlike) Boot(ctx context.Context, m dotest.Machine) ([]netip.Addr, error) {
	d, err := c.boot(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("boot %d: %w", m.ID, err)
	}
	return []netip.Addr{d.addr}, nil
}

func (c *Cloudlike) boot(ctx context.Context, m dotest.Machine) (*droplet, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed || c.boxes[m.ID] != nil {
		c.mu.Unlock()
		return nil, errors.New("the cloud is closed, or has this machine")
	}
	dir, err := filepath.Abs(filepath.Join(c.dir, strconv.Itoa(m.ID)))
	d := &droplet{id: m.ID, dir: dir, restart: c.RestartDelay, log: c.log.With(slog.Int("droplet", m.ID))}
	d.mu.Lock() // whoever looks for it waits until it is there
	defer d.mu.Unlock()
	c.boxes[m.ID] = d
	c.mu.Unlock()
	if err == nil {
		err = d.install(c.net, m)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = d.on()
	}
	if err != nil {
		c.mu.Lock()
		delete(c.boxes, m.ID)
		c.mu.Unlock()
		return nil, errors.Join(err, d.raze())
	}
	return d, nil
}

// find returns a machine that was booted.
func (c *Cloudlike) find(id int) (*droplet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.boxes[id]
	if d == nil {
		return nil, fmt.Errorf("droplet %d: %w", id, errGone)
	}
	return d, nil
}

// PowerOff pulls the plug: SSH and relay are gone at once, the disk stays.
func (c *Cloudlike) PowerOff(_ context.Context, id int) error {
	d, err := c.find(id)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off()
}

// PowerOn boots a machine again; one that is on is left alone. Its relay starts, if it is
// enabled, and is not waited for.
func (c *Cloudlike) PowerOn(_ context.Context, id int) error {
	d, err := c.find(id)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.razed {
		return fmt.Errorf("droplet %d: %w", id, errGone)
	}
	return d.on()
}

// Destroy ends every process of a machine and removes its disk.
func (c *Cloudlike) Destroy(_ context.Context, id int) error {
	d, err := c.find(id)
	if err != nil {
		return nil //nolint:nilerr // gone is what was asked for
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.raze(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.boxes, id)
	return nil
}

// Close destroys every machine and the directory, if nothing else is in it. No machine
// boots afterwards.
func (c *Cloudlike) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	var ids []int
	for id := range c.boxes {
		ids = append(ids, id)
	}
	c.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		wg.Go(func() { errs[i] = c.Destroy(ctx, id) })
	}
	wg.Wait()
	_ = os.Remove(c.dir) // somebody else's files may be in it
	return errors.Join(append(errs, c.net.close())...)
}

// Root is "/" of a machine as this computer sees it, "" of one that is not there.
func (c *Cloudlike) Root(id int) string {
	d, err := c.find(id)
	if err != nil {
		return ""
	}
	return d.root()
}

// PID is the process of a machine's relay, 0 if there is none.
func (c *Cloudlike) PID(id int) int {
	d, err := c.find(id)
	if err != nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unit == nil {
		return 0
	}
	return d.unit.Poll().Proc.PID
}
