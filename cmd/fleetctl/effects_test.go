package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// killAfter is the environment name under which a test tells a fleetctl after how many
// side effects it has to die.
const killAfter = "FLEETCTL_TEST_KILL_AFTER"

// killableMain is main, but for a process that was told to die.
func killableMain() {
	n, err := strconv.Atoi(os.Getenv(killAfter))
	if err != nil {
		main()
		return
	}
	a := processApp()
	e := &effects{left: n, die: killSelf}
	a.wrap, a.wrapRunner = e.backends, e.runner
	os.Exit(run(context.Background(), a, os.Args[1:]))
}

// effects numbers the side effects of a process, and kills the process instead of
// letting it make one too many: as hard as a power cut, and before any answer is read.
type effects struct {
	mu   sync.Mutex
	left int
	die  func()
}

// next is called before each side effect.
func (e *effects) next() {
	e.mu.Lock() // and never unlocks on the last call: nothing overtakes the death
	if e.left == 0 {
		e.die()
	}
	e.left--
	e.mu.Unlock()
}

// killSelf does not return.
func killSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		os.Exit(3)
	}
	select {}
}

func (e *effects) backends(b fleet.Backends) fleet.Backends {
	b.Provider = &countedProvider{b.Provider, e}
	b.Hosts = &countedHosts{b.Hosts, e}
	b.Zone = &countedZone{b.Zone, e}
	return b
}

func (e *effects) runner(r sshx.Runner) sshx.Runner { return &countedRunner{r, e} }

// countedProvider counts the mutating calls of a Provider.
type countedProvider struct {
	fleet.Provider
	e *effects
}

func (c *countedProvider) Create(ctx context.Context, m fleet.NewMachine) (fleet.Machine, error) {
	c.e.next()
	return c.Provider.Create(ctx, m)
}

func (c *countedProvider) Start(ctx context.Context, id string) error {
	c.e.next()
	return c.Provider.Start(ctx, id)
}

func (c *countedProvider) Delete(ctx context.Context, id string) error {
	c.e.next()
	return c.Provider.Delete(ctx, id)
}

func (c *countedProvider) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	c.e.next()
	return c.Provider.Mark(ctx, id, set, unset)
}

func (c *countedProvider) EnsureKey(ctx context.Context, key string) error {
	c.e.next()
	return c.Provider.EnsureKey(ctx, key)
}

func (c *countedProvider) EnsureFirewall(ctx context.Context) error {
	c.e.next()
	return c.Provider.EnsureFirewall(ctx)
}

func (c *countedProvider) Adjust(ctx context.Context, id string) error {
	c.e.next()
	return c.Provider.Adjust(ctx, id)
}

func (c *countedProvider) Cleanup(ctx context.Context) error {
	c.e.next()
	return c.Provider.Cleanup(ctx)
}

// countedHosts counts the mutating calls of Hosts. Their steps are counted as well, by
// the Runner below.
type countedHosts struct {
	fleet.Hosts
	e *effects
}

func (c *countedHosts) Configure(ctx context.Context, m fleet.Machine, config string, r fleet.Release) error {
	c.e.next()
	return c.Hosts.Configure(ctx, m, config, r)
}

func (c *countedHosts) Settle(ctx context.Context, m fleet.Machine) error {
	c.e.next()
	return c.Hosts.Settle(ctx, m)
}

func (c *countedHosts) Rekey(ctx context.Context, m fleet.Machine, trust func(context.Context, string) error) error {
	c.e.next()
	return c.Hosts.Rekey(ctx, m, trust)
}

func (c *countedHosts) Uninstall(ctx context.Context, m fleet.Machine) error {
	c.e.next()
	return c.Hosts.Uninstall(ctx, m)
}

func (c *countedHosts) Introduce(ctx context.Context, m fleet.Machine, peers []string) error {
	c.e.next()
	return c.Hosts.Introduce(ctx, m, peers)
}

func (c *countedHosts) Drain(ctx context.Context, m fleet.Machine) error {
	c.e.next()
	return c.Hosts.Drain(ctx, m)
}

func (c *countedHosts) CarryCensus(ctx context.Context, from, to fleet.Machine) error {
	c.e.next()
	return c.Hosts.CarryCensus(ctx, from, to)
}

func (c *countedHosts) Stop(ctx context.Context, m fleet.Machine) error {
	c.e.next()
	return c.Hosts.Stop(ctx, m)
}

// countedZone counts the writes of a Zone.
type countedZone struct {
	dnsaddr.Zone
	e *effects
}

func (c *countedZone) Apply(ctx context.Context, name string, ch dnsaddr.Changes) error {
	c.e.next()
	return c.Zone.Apply(ctx, name, ch)
}

// countedRunner counts what is written to boxes.
type countedRunner struct {
	sshx.Runner
	e *effects
}

func (c *countedRunner) Run(ctx context.Context, at sshx.Target, cmd sshx.Command) (sshx.Result, error) {
	if !cmd.ReadOnly {
		c.e.next()
	}
	return c.Runner.Run(ctx, at, cmd)
}

func (c *countedRunner) WriteFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	c.e.next()
	return c.Runner.WriteFile(ctx, at, path, data, mode)
}

func (c *countedRunner) AppendFile(ctx context.Context, at sshx.Target, path string, data []byte, mode fs.FileMode) error {
	c.e.next()
	return c.Runner.AppendFile(ctx, at, path, data, mode)
}

func (c *countedRunner) Upload(ctx context.Context, at sshx.Target, local, path, sha256 string, mode fs.FileMode) error {
	c.e.next()
	return c.Runner.Upload(ctx, at, local, path, sha256, mode)
}

func (c *countedRunner) Remove(ctx context.Context, at sshx.Target, path string) error {
	c.e.next()
	return c.Runner.Remove(ctx, at, path)
}

// TestEffects_EveryMethodThatChangesSomethingIsCounted fails when an interface gets a
// method that is neither known to read nor counted.
func TestEffects_EveryMethodThatChangesSomethingIsCounted(t *testing.T) {
	reads := map[string]bool{
		"Provider.Machines": true, "Provider.Leftovers": true, "Provider.Quote": true, "Provider.Drift": true,
		"Hosts.Inspect": true, "Hosts.Ping": true, "Hosts.Await": true,
		"Zone.Records": true, "Zone.Limits": true, "Zone.Status": true,
		"Runner.ReadFile": true, "Runner.Stream": true,
	}
	e := &effects{die: func() { panic(errCounted) }}
	for name, c := range map[string]struct {
		of      reflect.Type
		counted any
	}{
		"Provider": {reflect.TypeFor[fleet.Provider](), &countedProvider{e: e}},
		"Hosts":    {reflect.TypeFor[fleet.Hosts](), &countedHosts{e: e}},
		"Zone":     {reflect.TypeFor[dnsaddr.Zone](), &countedZone{e: e}},
		"Runner":   {reflect.TypeFor[sshx.Runner](), &countedRunner{e: e}},
	} {
		for i := range c.of.NumMethod() {
			method := c.of.Method(i).Name
			if counts := counts(e, reflect.ValueOf(c.counted).MethodByName(method)); counts == reads[name+"."+method] {
				t.Errorf("%s.%s: counted as a side effect: %t, known to read: %t", name, method, counts, counts)
			}
		}
	}
}

var errCounted = errors.New("counted")

// counts calls a method of a counter that has nothing below it: a method that counts
// dies in next, any other on the missing implementation.
func counts(e *effects, method reflect.Value) (counted bool) {
	e.mu.TryLock() // the last death kept it
	e.mu.Unlock()
	defer func() {
		err, ok := recover().(error)
		counted = ok && errors.Is(err, errCounted)
	}()
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = reflect.Zero(method.Type().In(i))
	}
	method.Call(args)
	return false
}
