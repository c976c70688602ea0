package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// udpBudget is the UDP answer that resolvers with EDNS ask for, in bytes (RFC 9715).
const udpBudget = 1232

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "doctor",
		Short:             "Look for what is wrong, and say how to put it right",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("doctor")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("examining fleet " + s.spec.Name)
			v, err := s.examine(cmd.Context())
			done()
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.problem())
		},
	}
}

// finding is one thing that doctor looked at.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"` // a command or an imperative sentence, "" if nothing is wrong
}

// doctorView is everything that doctor looked at.
type doctorView struct {
	Findings []finding `json:"findings"`

	barred error `json:"-"` // why nothing could be read, with an exit code of its own
}

func (v *doctorView) add(check string, err error, detail, fix string) {
	f := finding{Check: check, OK: err == nil, Detail: detail}
	if err != nil {
		f.Detail, f.Fix = err.Error(), fix
		if hint := fleet.Hint(err); hint != "" {
			f.Fix = hint
		}
	}
	v.Findings = append(v.Findings, f)
}

// examine looks at everything once and changes nothing.
func (s *session) examine(ctx context.Context) (doctorView, error) {
	v := doctorView{Findings: []finding{}}
	v.add("spec", nil, fmt.Sprintf("%s: fleet %s, %d nodes", s.app.globals.config, s.spec.Name, len(s.spec.Slots())), "")
	release, err := s.release()
	v.add("relay binary", err, release.Path+" "+release.Version, "run 'make build'")
	s.examineDir(&v)
	for _, adapter := range []any{s.machinesOf, s.zone} {
		if d, ok := adapter.(diagnosis.Doctor); ok {
			for _, f := range d.Diagnose(ctx) {
				v.add(f.Check, f.Err, f.Detail, f.Fix)
			}
		}
	}
	st, err := fleet.Observe(ctx, s.b, s.spec)
	if err != nil {
		return v, err
	}
	v.barred = barred(st)
	v.add("provider", st.Machines.Err, fmt.Sprintf("%s lists %s", s.spec.Provider, machinesCount(len(st.Machines.Value))), "check the provider's credentials")
	s.examineAccount(ctx, st, &v)
	examineDrift(st, &v)
	s.examineClocks(ctx, st.Machines.Value, &v)
	s.examineZone(ctx, st, &v)
	s.examineRelays(ctx, st, &v)
	return v, nil
}

// examineDir looks at what this computer keeps for the fleet.
func (s *session) examineDir(v *doctorView) {
	if !s.dir.Exists() {
		v.add("state directory", nil, "not there yet: the first 'fleetctl up' makes it", "")
		return
	}
	v.add("state directory", nil, s.dir.Path(), "")
	info, err := os.Stat(s.dir.SSHKey())
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s can be read by others (%s)", s.dir.SSHKey(), info.Mode().Perm())
	}
	v.add("ssh key", err, s.dir.SSHKey(), "run 'chmod 600 "+s.dir.SSHKey()+"'")
}

// examineRelays looks at every relay, and at what belongs to nobody.
func (s *session) examineRelays(ctx context.Context, st fleet.State, v *doctorView) {
	status := s.status(ctx, st)
	for _, r := range status.Relays {
		fix := "run 'fleetctl up', and 'fleetctl logs " + r.Node + "' to see why"
		var problem error
		switch box := st.Relays[r.Machine]; {
		case box.Err != nil: // also where it serves: nothing can be done to it
			problem = fmt.Errorf("%s: %s: %w", r.Node, r.State, box.Err)
			fix = "nothing is done to its box until that has ended"
		case !r.Verified:
			problem = fmt.Errorf("%s: %s %s", r.Node, r.State, r.Reason)
		}
		v.add("relay "+r.Node, problem, r.State, fix)
		for _, w := range r.Warnings {
			v.add("relay "+r.Node, errors.New(w), "", "look at it with 'fleetctl logs "+r.Node+"'")
		}
	}
	for _, o := range status.Orphans {
		if o.Notice {
			v.add(o.Kind+" of "+o.Node, nil, o.Reason, "")
			continue
		}
		fix := "run '" + o.Resolve + "'"
		if o.Resolve == lookFirst {
			fix = "give the token of the account that holds the fleet"
		}
		v.add("orphan "+o.Kind, fmt.Errorf("%s: %s", o.ID, o.Reason), "", fix)
	}
}

// examineZone looks at the records and whether clients can read them.
func (s *session) examineZone(ctx context.Context, st fleet.State, v *doctorView) {
	v.add("records", st.Records.Err, fmt.Sprintf("%d at %s", len(st.Records.Value), s.spec.DNS.RecordName()), "run 'fleetctl dnsaddr list'")
	status := s.zone.Status(ctx)
	var problem error
	if !status.Serving && len(st.Records.Value) > 0 {
		problem = errors.New(status.Reason)
	}
	v.add("zone server", problem, status.Server, "run 'fleetctl up'")
	var values []string // at the entry name: lists are for clients that ask by TCP
	for _, rec := range st.Records.Value {
		if strings.EqualFold(rec.Name, s.spec.DNS.RecordName()) {
			values = append(values, rec.Value)
		}
	}
	size := dnsaddr.WireSize(s.spec.DNS.RecordName(), values)
	problem = nil
	if size > udpBudget {
		problem = fmt.Errorf("the answer is %d bytes: clients that cannot ask by TCP see none of it beyond %d", size, udpBudget)
	}
	v.add("size of the answer", problem, fmt.Sprintf("%d bytes", size), "publish fewer addresses under one name")
}

// problem is exit 3 if anything was found, or the code of what keeps everybody out.
func (v doctorView) problem() error {
	if v.barred != nil {
		return silenced(v.barred)
	}
	for _, f := range v.Findings {
		if !f.OK {
			return silently(exitPartial)
		}
	}
	return nil
}

func (v doctorView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "check"}, {Name: "result"}, {Name: "detail"}}}
	for _, f := range v.Findings {
		result := render.Toned{Value: "ok", Tone: render.Good}
		if !f.OK {
			result = render.Toned{Value: "problem", Tone: render.Bad}
			t.Notes = append(t.Notes, f.Check+": "+f.Fix)
		}
		t.Rows = append(t.Rows, []any{f.Check, result, f.Detail})
	}
	return t
}
