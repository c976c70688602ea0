package monitoring

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// alertmanagerFile is alertmanager.yml.
type alertmanagerFile struct {
	Route     route            `yaml:"route"`
	Inhibit   []inhibition     `yaml:"inhibit_rules"`
	Receivers []receiverConfig `yaml:"receivers"`
}

type route struct {
	Receiver      string   `yaml:"receiver"`
	Matchers      []string `yaml:"matchers,omitempty"`
	GroupBy       []string `yaml:"group_by,flow,omitempty"`
	GroupWait     string   `yaml:"group_wait,omitempty"`
	GroupInterval string   `yaml:"group_interval,omitempty"`
	Repeat        string   `yaml:"repeat_interval,omitempty"`
	Routes        []route  `yaml:"routes,omitempty"`
}

// inhibition: while an alert of Source fires, those of Target are not told of.
type inhibition struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal,flow"`
}

type receiverConfig struct {
	Name      string            `yaml:"name"`
	Webhook   []webhookConfig   `yaml:"webhook_configs,omitempty"`
	Slack     []slackConfig     `yaml:"slack_configs,omitempty"`
	PagerDuty []pagerDutyConfig `yaml:"pagerduty_configs,omitempty"`
}

type webhookConfig struct {
	URL string `yaml:"url"`
}

type slackConfig struct {
	URLFile      string `yaml:"api_url_file"`
	SendResolved bool   `yaml:"send_resolved"`
	Title        string `yaml:"title"`
	Text         string `yaml:"text"`
}

type pagerDutyConfig struct {
	KeyFile string `yaml:"routing_key_file"`
}

// The receivers.
const (
	receiverNow   = "now"
	receiverLater = "later"
)

// alertmanagerText is alertmanager.yml.
func alertmanagerText(o Options) ([]byte, error) {
	f := alertmanagerFile{
		Route: route{
			Receiver: receiverLater, GroupBy: []string{LabelFleet, "alertname"}, GroupWait: "30s", GroupInterval: "5m", Repeat: "12h",
			Routes: []route{{Receiver: receiverNow, Matchers: []string{matcher("severity", Critical)}, GroupWait: "10s", Repeat: "1h"}},
		},
	}
	comments := yaml.CommentMap{}
	comments["$.route.routes[0]"] = []*yaml.Comment{yaml.HeadComment(" What cannot wait for the morning.")}
	inhibit := func(why string, source, target []string, equal ...string) {
		comments[fmt.Sprintf("$.inhibit_rules[%d]", len(f.Inhibit))] = []*yaml.Comment{yaml.HeadComment(" " + why)}
		f.Inhibit = append(f.Inhibit, inhibition{source, target, equal})
	}
	inhibit("Below the floor, it goes without saying that single relays do not serve.",
		[]string{named("FleetBelowFloor")}, []string{named("RelayPublishedNotServing")}, LabelFleet)
	// It silences no more than that: what is known to be wrong is, also where something else is not known.
	inhibit("Where nobody watches, no relay is read either.",
		[]string{named("FleetCollectorStale"), matcher("severity", Critical)}, []string{named("FleetCollectorStale"), matcher("severity", Warning)}, LabelFleet)
	inhibit("A relay that does not serve need not answer either.",
		[]string{named("RelayPublishedNotServing")}, []string{named("FleetCollectorStale"), matcher("severity", Warning)}, LabelFleet, LabelNode)
	inhibit("A relay whose reservations are taken refuses newcomers.",
		[]string{named("RelayReservationsNearLimit")}, []string{named("RelayErrorRate")}, LabelFleet, LabelNode)

	for _, name := range []string{receiverNow, receiverLater} {
		f.Receivers = append(f.Receivers, receiver(name, o.Notify))
	}
	if len(o.Notify) == 0 {
		comments["$.receivers[0]"] = []*yaml.Comment{yaml.HeadComment(
			" Nobody is told yet. Say who: fleetctl monitoring init --notify, or write it here:",
			" https://prometheus.io/docs/alerting/latest/configuration/#receiver")}
	}
	return yamlText(f, comments)
}

func receiver(name string, notify []Receiver) receiverConfig {
	c := receiverConfig{Name: name}
	for _, n := range notify {
		switch n.Kind {
		case Webhook:
			c.Webhook = append(c.Webhook, webhookConfig{n.Value})
		case Slack:
			c.Slack = append(c.Slack, slackConfig{
				URLFile: n.Value, SendResolved: true,
				Title: `{{ .Status | toUpper }} {{ .CommonLabels.alertname }} {{ .CommonLabels.fleet }}`,
				Text:  "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}",
			})
		case PagerDuty:
			c.PagerDuty = append(c.PagerDuty, pagerDutyConfig{n.Value})
		}
	}
	return c
}

func named(alert string) string { return matcher("alertname", alert) }

func matcher[T ~string](label string, value T) string { return fmt.Sprintf("%s=%q", label, value) }
