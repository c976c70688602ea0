package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/monitoring"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// defaultServe is where 'fleetctl serve' answers if nothing else is said.
const defaultServe = "http://" + defaultListen

func newMonitoring(a *app) *cobra.Command {
	return group("monitoring", "Write what Prometheus, Alertmanager and Grafana need to watch the fleet", newMonitoringInit(a))
}

// monitoringFlags say what is watched, from where, and who is told.
type monitoringFlags struct {
	serve, tokenFile, caFile string
	targets                  []string
	relayTokenFile           string
	alertmanager, runbooks   string
	notify                   []string
	interval                 time.Duration
	force                    bool
}

func newMonitoringInit(a *app) *cobra.Command {
	var f monitoringFlags
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write scrape configuration, rules, alerts, routing and a dashboard",
		Long: `Write prometheus.yml, alertmanager.yml, rules and alerts with their tests, and a Grafana
dashboard below DIR. Prometheus reads the fleet from 'fleetctl serve', and each relay through
the SSH tunnels that serve keeps. With --target it reads relays itself, at addresses of a
WireGuard or a tailnet; without --serve as well, nobody watches DNS and the fleet as a whole.
The port that relays answer at, 9847, stays closed on public addresses either way.

A file that was edited, or that another program wrote, is left alone and named unless --force
is given. To run it again, say the flags again: files are made from those of this run alone,
and what was asked for otherwise the last time is named. A directory is for one fleet: with
the files of another one in it nothing is written, with --force either. Secrets are never written: what needs one names the file that it is in.`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := a.loadSpec()
			if err != nil {
				return err
			}
			o, err := f.options(a, cmd, spec)
			if err != nil {
				return fmt.Errorf("%s: %w", path(cmd), err)
			}
			files, err := monitoring.Files(o)
			if err != nil {
				return fmt.Errorf("%s: %w", path(cmd), err)
			}
			of, err := o.Origin()
			if err != nil {
				return fmt.Errorf("%s: %w", path(cmd), err)
			}
			report, err := monitoring.Write(a.expand(args[0]), of, files, f.force)
			if err != nil {
				return explainMonitoring(fmt.Errorf("%s: %w", path(cmd), err))
			}
			return newMonitoringView(args[0], spec, o, report).end(a)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.serve, "serve", defaultServe, "the `address` where Prometheus reaches 'fleetctl serve'; 'none' for a fleet without")
	flags.StringVar(&f.tokenFile, "token-file", "", "the `file` with the token that serve asks for, on Prometheus' computer")
	flags.StringVar(&f.caFile, "ca-file", "", "the `file` with the certificate that serve's is checked by")
	flags.StringArrayVar(&f.targets, "target", nil, "a relay that Prometheus reads itself, as `NODE=ADDRESS`; repeat it for each")
	flags.StringVar(&f.relayTokenFile, "relay-token-file", "", "the `file` with the token that these relays ask for")
	flags.StringVar(&f.alertmanager, "alertmanager", "", "where Alertmanager is, `HOST:PORT` (default 127.0.0.1:9093)")
	flags.StringArrayVar(&f.notify, "notify", nil, "who is told, as `KIND=WHERE`: webhook=URL, slack-file=FILE, pagerduty-file=FILE")
	flags.DurationVar(&f.interval, "interval", 15*time.Second, "how often Prometheus reads")
	flags.StringVar(&f.runbooks, "runbooks", "", "the `address` of your own copy of the runbook")
	flags.BoolVar(&f.force, "force", false, "overwrite files that were edited or that others wrote")
	return cmd
}

// explainMonitoring gives the refusal to write over another fleet's files its exit code.
func explainMonitoring(err error) error {
	if _, refused := errors.AsType[*monitoring.OtherFleetError](err); refused {
		return withCode(exitRefused, err)
	}
	return err
}

// options reads the flags. An address of serve that was not asked for is left out where
// relays are read directly.
func (f monitoringFlags) options(a *app, cmd *cobra.Command, spec fleet.Spec) (monitoring.Options, error) {
	o := monitoring.Options{
		Fleet: spec.Name, FleetID: spec.ID, Interval: f.interval, Alertmanager: f.alertmanager, Runbooks: f.runbooks,
		ServeToken: a.named(f.tokenFile), RelayToken: a.named(f.relayTokenFile), ServeCA: a.named(f.caFile),
	}
	if f.serve != "none" && (cmd.Flags().Changed("serve") || len(f.targets) == 0) {
		u, err := url.Parse(f.serve)
		if err != nil {
			return o, fleet.WithHint(fmt.Errorf("--serve %q is no address", f.serve), "give one such as "+defaultServe)
		}
		o.Serve = u
	}
	region := make(map[string]string)
	for _, slot := range spec.Slots() {
		region[slot.Node] = slot.Region
	}
	for _, text := range f.targets {
		t, err := monitoring.TargetOf(text, func(node string) (string, bool) { r, ok := region[node]; return r, ok })
		if err != nil {
			return o, fmt.Errorf("--target: %w", err)
		}
		o.Targets = append(o.Targets, t)
	}
	for _, text := range f.notify {
		r, err := monitoring.ReceiverOf(text)
		if err != nil {
			return o, fmt.Errorf("--notify: %w", err)
		}
		o.Notify = append(o.Notify, r)
	}
	return o, nil
}

// named makes a path absolute; "" stays.
func (a *app) named(file string) string {
	if file == "" {
		return ""
	}
	return a.expand(file)
}

// monitoringView is what `fleetctl monitoring init` did.
type monitoringView struct {
	Dir    string           `json:"dir"`
	Fleet  string           `json:"fleet"`
	Files  []monitoringFile `json:"files"`
	Notes  []string         `json:"notes"` // what is not watched, who is not told, and what was asked for otherwise the last time
	differ []string
}

// monitoringFile is what became of a file.
type monitoringFile struct {
	File    string `json:"file"`
	Outcome string `json:"outcome"` // "written", "replaced", "unchanged", "kept", "differs" or "removed"
}

func newMonitoringView(dir string, spec fleet.Spec, o monitoring.Options, report monitoring.Report) monitoringView {
	v := monitoringView{Dir: dir, Fleet: o.Fleet, Files: []monitoringFile{}, Notes: []string{}}
	edited := make(map[string]bool)
	for _, r := range report.Results {
		v.Files = append(v.Files, monitoringFile{r.Name, string(r.Outcome)})
		edited[r.Name] = r.Outcome == monitoring.Kept || r.Outcome == monitoring.Differs
		if r.Outcome == monitoring.Differs {
			v.differ = append(v.differ, r.Name)
		}
	}
	if o.Serve == nil {
		v.Notes = append(v.Notes, "without serve, the floor, what is published, DNS and certificates are not watched")
	}
	if unread := untargeted(spec, o.Targets); len(unread) > 0 {
		v.Notes = append(v.Notes, "not read, for no --target names them: "+strings.Join(unread, ", "))
	}
	if len(o.Notify) == 0 && !edited[monitoring.FileAlertmanager] {
		v.Notes = append(v.Notes, "nobody is told of an alert yet: say who with --notify, or in alertmanager.yml")
	}
	for _, c := range report.Changed {
		v.Notes = append(v.Notes, fmt.Sprintf("--%s was %s the last time, and is %s now", c.Flag, given(c.Before), given(c.Now)))
	}
	return v
}

// given are the values of a flag for people. Of a webhook's address only the host is shown:
// what comes after it is often a secret.
func given(values []string) string {
	if len(values) == 0 {
		return "not given"
	}
	shown := make([]string, len(values))
	for i, value := range values {
		shown[i] = value
		if address, ok := strings.CutPrefix(value, string(monitoring.Webhook)+"="); ok {
			shown[i] = string(monitoring.Webhook) + "=of a form that is not shown"
			if u, err := url.Parse(address); err == nil && u.Host != "" {
				shown[i] = fmt.Sprintf("%s=%s://%s/…", monitoring.Webhook, u.Scheme, u.Host)
			}
		}
	}
	return strings.Join(shown, ", ")
}

// untargeted are the nodes that have no target where others have one.
func untargeted(spec fleet.Spec, targets []monitoring.Target) []string {
	if len(targets) == 0 {
		return nil
	}
	var nodes []string
	for _, slot := range spec.Slots() {
		if !slices.ContainsFunc(targets, func(t monitoring.Target) bool { return t.Node == slot.Node }) {
			nodes = append(nodes, slot.Node)
		}
	}
	return nodes
}

// end shows the result. Files that were left alone though they should be written make
// the exit code 3.
func (v monitoringView) end(a *app) error {
	if err := a.show(v); err != nil || len(v.differ) == 0 {
		return err
	}
	err := fmt.Errorf("monitoring init: left alone, for they were edited or written by others: %s", strings.Join(v.differ, ", "))
	return withCode(exitPartial, fleet.WithHint(err, "compare them with what 'fleetctl monitoring init' writes to an empty directory, or overwrite them with --force"))
}

func (v monitoringView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "file"}, {Name: "outcome"}}, Notes: v.Notes}
	for _, f := range v.Files {
		outcome := render.Toned{Value: f.Outcome}
		if f.Outcome == string(monitoring.Differs) {
			outcome.Tone = render.Warn
		}
		t.Rows = append(t.Rows, []any{f.File, outcome})
	}
	return t
}
