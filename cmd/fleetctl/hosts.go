package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func newHosts(a *app) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List the machines: where they are and how to log in",
		Long: `List the machines as the provider lists them: address, login, labels, status. No box is
asked. --on, --region, --tag and --exclude choose some of them as those of exec do.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("hosts")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			machines, err := s.chosenHosts(cmd.Context(), sel)
			if err != nil {
				return err
			}
			v := hostsView{Fleet: s.spec.Name, Hosts: []hostRow{}}
			for _, m := range machines {
				v.Hosts = append(v.Hosts, newHostRow(m))
			}
			return a.show(v)
		},
	}
	sel.register(a, cmd, false)
	cmd.AddCommand(newKnownHosts(a))
	return cmd
}

// chosenHosts lists every machine, or those that a selection means.
func (s *session) chosenHosts(ctx context.Context, sel selection) ([]fleet.Machine, error) {
	if sel.given() || len(sel.exclude) > 0 {
		return s.selected(ctx, sel)
	}
	return s.b.Provider.Machines(ctx)
}

// hostsView is what `fleetctl hosts` says.
type hostsView struct {
	Fleet string    `json:"fleet"`
	Hosts []hostRow `json:"hosts"`
}

// hostRow is one machine.
type hostRow struct {
	Node     string    `json:"node"`
	Region   string    `json:"region"`
	Address  string    `json:"address"` // the first public one, "" if there is none
	SSH      string    `json:"ssh"`     // user@host:port
	Jump     string    `json:"jump"`    // the host that SSH goes through, "" for none
	Labels   []string  `json:"labels"`
	Status   string    `json:"status"`
	Phase    string    `json:"phase"`
	Marked   bool      `json:"marked"`  // its marks say that it is ours
	Adopted  bool      `json:"adopted"` // made by others and not taken over
	Given    bool      `json:"given"`   // never made, never deleted
	Machine  string    `json:"machine"`
	HostKeys []string  `json:"host_keys"` // SHA256 fingerprints, as the marks say
	Since    time.Time `json:"since,omitzero"`
}

func newHostRow(m fleet.Machine) hostRow {
	r := hostRow{
		Node: m.Node, Region: m.Region, Jump: m.Jump, Labels: m.Labels, Status: string(m.Status), Phase: string(m.Phase),
		Marked: !m.Unmarked, Adopted: m.Adopted, Given: m.Given, Machine: m.ID, HostKeys: []string{}, Since: m.Created,
	}
	if r.Labels == nil {
		r.Labels = []string{}
	}
	if len(m.Addrs) > 0 {
		r.Address = m.Addrs[0].String()
	}
	if at, err := host.Target(m); err == nil {
		r.SSH = at.User + "@" + at.Addr
	}
	for key := range strings.Lines(m.HostKey) {
		if print, err := sshx.Fingerprint(strings.TrimSpace(key)); err == nil {
			r.HostKeys = append(r.HostKeys, print)
		}
	}
	return r
}

func (v hostsView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "node"}, {Name: "region", Drop: 1}, {Name: "address", Show: render.WideOnly}, {Name: "ssh"}, {Name: "labels", Drop: 2}, {Name: "status"},
			{Name: "phase"}, {Name: "machine", Drop: 3}, {Name: "since", Drop: 4}, {Name: "jump", Show: render.WideOnly}, {Name: "host keys", Show: render.WideOnly},
		},
		Empty: "fleet " + v.Fleet + " has no machines",
	}
	for _, r := range v.Hosts {
		phase := render.Toned{Value: r.Phase, Tone: render.Warn}
		switch {
		case !r.Marked:
			phase.Value = "unmarked"
		case r.Phase != "":
		case r.Adopted:
			phase.Value = "adopted"
		default:
			phase = render.Toned{Value: "active"}
		}
		t.Rows = append(t.Rows, []any{r.Node, r.Region, r.Address, r.SSH, r.Labels, r.Status, phase, r.Machine, r.Since, r.Jump, r.HostKeys})
	}
	return t
}

func newKnownHosts(a *app) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "known-hosts",
		Short: "Print the boxes' host keys as a known_hosts file",
		Long: `Print the boxes' host keys as a known_hosts file: the keys that the provider's marks vouch
for, else those that are pinned on this computer. Whoever has the provider's token, such as
a CI job, writes a file of its own with it. A box whose key nobody knows is named; exit 3.`,
		Example:           `  fleetctl hosts known-hosts > known_hosts`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("hosts")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			machines, err := s.chosenHosts(cmd.Context(), sel)
			if err != nil {
				return err
			}
			v, err := s.knownHosts(machines)
			return errors.Join(a.show(v), err)
		},
	}
	sel.register(a, cmd, false)
	return cmd
}

// knownHostsView is the host keys of boxes.
type knownHostsView struct {
	Lines []knownHost `json:"lines"`
}

// knownHost is one line of a known_hosts file.
type knownHost struct {
	Node        string `json:"node"`
	Host        string `json:"host"` // as OpenSSH writes it: 192.0.2.1 or [192.0.2.1]:2222
	Key         string `json:"key"`  // authorized_keys form
	Fingerprint string `json:"fingerprint"`
}

// knownHosts finds the host keys of machines. The error names those that have none.
func (s *session) knownHosts(machines []fleet.Machine) (knownHostsView, error) {
	v := knownHostsView{Lines: []knownHost{}}
	pins, err := sshx.OpenPins(s.pinFile())
	if err != nil {
		return v, err
	}
	var errs []error
	for _, m := range machines {
		lines, err := hostLines(m, pins)
		if err != nil {
			errs = append(errs, withCode(exitPartial, ofNode(m.Node, aboutNode(m.Node, err))))
		}
		v.Lines = append(v.Lines, lines...)
	}
	return v, errors.Join(errs...)
}

// hostLines are the host keys of one machine: what its mark says, else its pins.
func hostLines(m fleet.Machine, pins *sshx.Pins) ([]knownHost, error) {
	at, err := host.Target(m)
	if err != nil {
		return nil, err
	}
	keys := strings.FieldsFunc(m.HostKey, func(r rune) bool { return r == '\n' })
	if len(keys) == 0 {
		if keys, err = pins.LookupAll(at.Addr); err != nil {
			return nil, err
		}
	}
	name, port, err := net.SplitHostPort(at.Addr)
	if err != nil {
		return nil, err
	}
	if port != "22" {
		name = "[" + name + "]:" + port
	}
	var lines []knownHost
	for _, key := range keys {
		print, err := sshx.Fingerprint(key)
		if err != nil {
			return lines, err
		}
		lines = append(lines, knownHost{Node: m.Node, Host: name, Key: key, Fingerprint: print})
	}
	return lines, nil
}

var _ render.TextView = knownHostsView{}

// Text is a known_hosts file.
func (v knownHostsView) Text(w io.Writer, _ render.Options) error {
	for _, l := range v.Lines {
		if _, err := fmt.Fprintf(w, "%s %s\n", render.Safe(l.Host), render.Safe(l.Key)); err != nil {
			return err
		}
	}
	return nil
}

func (v knownHostsView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "node"}, {Name: "host"}, {Name: "key"}, {Name: "fingerprint"}}}
	for _, l := range v.Lines {
		t.Rows = append(t.Rows, []any{l.Node, l.Host, l.Key, l.Fingerprint})
	}
	return t
}
