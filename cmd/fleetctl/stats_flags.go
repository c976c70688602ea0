package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // where the system has no time zones, as in a container from scratch

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

// span is a flag for how far to look back: 90m, 12h, 30d, 4w, or several of these. A day
// is 24 hours.
type span time.Duration

// longestSpan is older than any history.
const longestSpan = span(100 * 366 * 24 * time.Hour)

func (s *span) Type() string { return "string" }

func (s *span) String() string {
	d := time.Duration(*s)
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

func (s *span) Set(text string) error {
	accepted := errors.New("accepted are spans such as 90m, 12h, 30d, 4w")
	const part = `([0-9]{1,9})([smhdw])`
	if !regexp.MustCompile(`^(` + part + `)+$`).MatchString(text) {
		return accepted
	}
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	var total span
	for _, found := range regexp.MustCompile(part).FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil || n > int64(longestSpan)/int64(units[found[2]]) {
			return errors.New("at most 100 years are accepted")
		}
		if total += span(n) * span(units[found[2]]); total > longestSpan {
			return errors.New("at most 100 years are accepted")
		}
	}
	if total <= 0 {
		return accepted
	}
	*s = total
	return nil
}

// place is a flag for a time zone: days and weeks begin at its midnight.
type place struct{ *time.Location }

func (p *place) Type() string { return "string" }

func (p *place) String() string {
	if p.Location == nil {
		return time.UTC.String()
	}
	return p.Location.String()
}

func (p *place) Set(text string) error {
	at, err := time.LoadLocation(text)
	if err != nil || text == "" {
		return errors.New("unknown time zone: accepted are UTC, Local and names such as Europe/Berlin")
	}
	p.Location = at
	return nil
}

// step is a flag for the time between two points.
type step struct{ history.Step }

func (s *step) Type() string   { return "string" }
func (s *step) String() string { return string(s.Step) }

func (s *step) Set(text string) error {
	parsed, err := history.ParseStep(text)
	if err != nil {
		return errors.New("accepted are " + strings.Join(stepNames(), ", "))
	}
	s.Step = parsed
	return nil
}

func stepNames() []string {
	var names []string
	for _, s := range history.Steps() {
		names = append(names, string(s))
	}
	return names
}

// period is the part of the history that a command is about.
type period struct {
	since span
	step  step
	tz    place
	by    bool
}

// register adds the flags; since is how far they look back if nothing else is said.
func (p *period) register(cmd *cobra.Command, since time.Duration) {
	p.since, p.tz = span(since), place{time.UTC}
	f := cmd.Flags()
	f.Var(&p.since, "since", "look back so `far`: 12h, 30d, 4w")
	f.Var(&p.step, "step", "`time` between two points: "+strings.Join(stepNames(), ", ")+"; by default what gives some hundred points at most")
	f.Var(&p.tz, "tz", "time `zone` of days and weeks: UTC, Local, Europe/Berlin, …")
	f.BoolVar(&p.by, "by", false, "one series for each part that the metric is split by, else for each relay")
	completeWith(cmd, "step", stepNames())
}

// query is the question for the history.
func (p *period) query(now time.Time) history.Query {
	return history.Query{Since: now.Add(-time.Duration(p.since)), Until: now, Step: p.step.Step, Location: p.tz.Location, By: p.by}
}

// metricOf finds a metric by its name or its short one. The error names the nearest.
func metricOf(cmd *cobra.Command, name string) (stats.Metric, error) {
	if m, ok := stats.MetricOf(name); ok {
		return m, nil
	}
	err := fmt.Errorf("%s: unknown metric %q", path(cmd), render.SafeUpTo(name, 60))
	return stats.Metric{}, fleet.WithHint(err, didYouMean(name, metricNames(), "run 'fleetctl stats explain' for the list"))
}

// metricNames are the names of all metrics, long and short.
func metricNames() []string {
	var names []string
	for _, m := range stats.Metrics() {
		names = append(names, m.Name)
		if m.Alias != "" {
			names = append(names, m.Alias)
		}
	}
	return names
}

// completeMetric completes the only argument of a command.
func completeMetric(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return metricNames(), cobra.ShellCompDirectiveNoFileComp
}

// completeWith completes a flag with what it accepts.
func completeWith(cmd *cobra.Command, flag string, accepted []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(accepted, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// ownOutput is the flag -o of a command that has forms of its own beside the usual ones,
// or in place of them.
type ownOutput struct {
	usual *output // where --json and --csv go, too
	forms []string
	only  bool   // the usual ones are not accepted
	form  string // one of forms; "" is a usual one
}

// ownOutputFlag gives cmd such a flag.
func ownOutputFlag(cmd *cobra.Command, o *ownOutput) {
	accepted := o.accepted()
	cmd.Flags().VarP(o, "output", "o", "form of the result: "+strings.Join(accepted, ", "))
	completeWith(cmd, "output", accepted)
}

func (o *ownOutput) accepted() []string {
	if o.only {
		return o.forms
	}
	return append(render.FormatNames(), o.forms...)
}

func (o *ownOutput) Type() string { return "string" }

func (o *ownOutput) String() string {
	if o.form != "" || o.usual == nil || o.only {
		return o.form
	}
	return o.usual.String()
}

func (o *ownOutput) Set(text string) error {
	switch {
	case !slices.Contains(o.accepted(), text):
		return errors.New("accepted are " + strings.Join(o.accepted(), ", "))
	case slices.Contains(o.forms, text):
		if len(o.usual.given) > 0 {
			return errors.New(o.usual.given[0] + " was given, too")
		}
		o.form = text
		return nil
	}
	return o.usual.Set(text)
}

// check refuses --json and --csv beside a form of the command's own, unless that is what
// they mean.
func (o *ownOutput) check(cmd *cobra.Command) error {
	usual := string(o.usual.format)
	if len(o.usual.given) > 0 && o.form == "" && o.only && slices.Contains(o.forms, usual) {
		o.form = usual
		return nil
	}
	if len(o.usual.given) > 0 && (o.form != "" || o.only) {
		return fmt.Errorf("%s: %s: accepted are %s", path(cmd), o.usual.given[0], "-o "+strings.Join(o.accepted(), ", "))
	}
	return nil
}

// follow takes the form from the name of the file that the result goes to, where no flag
// says it.
func (o *ownOutput) follow(cmd *cobra.Command, out *outFile) error {
	given := o.form
	if given == "" && len(o.usual.given) > 0 {
		given = string(o.usual.format)
	}
	form, err := out.form(cmd, given, o.accepted())
	if err != nil || form == given {
		return err
	}
	return o.Set(form)
}
