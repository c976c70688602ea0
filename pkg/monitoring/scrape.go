package monitoring

import (
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/goccy/go-yaml"
)

// prometheusFile is prometheus.yml.
type prometheusFile struct {
	Global struct {
		ScrapeInterval     string `yaml:"scrape_interval"`
		ScrapeTimeout      string `yaml:"scrape_timeout"`
		EvaluationInterval string `yaml:"evaluation_interval"`
	} `yaml:"global"`
	RuleFiles []string `yaml:"rule_files"`
	Alerting  struct {
		Alertmanagers []staticGroup `yaml:"alertmanagers"`
	} `yaml:"alerting"`
	Scrape []scrapeJob `yaml:"scrape_configs"`
}

type staticGroup struct {
	Static []static `yaml:"static_configs"`
}

type static struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels,omitempty"`
}

type scrapeJob struct {
	Name    string      `yaml:"job_name"`
	Scheme  string      `yaml:"scheme,omitempty"`
	Access  access      `yaml:",inline"`
	HTTPSD  []discovery `yaml:"http_sd_configs,omitempty"`
	Static  []static    `yaml:"static_configs,omitempty"`
	Relabel []relabel   `yaml:"relabel_configs,omitempty"`
	Limit   int         `yaml:"sample_limit,omitempty"`
	Metrics []relabel   `yaml:"metric_relabel_configs,omitempty"`
}

// access is how serve or a relay is talked to.
type access struct {
	Authorization *authorization `yaml:"authorization,omitempty"`
	TLS           *tlsConfig     `yaml:"tls_config,omitempty"`
}

type authorization struct {
	CredentialsFile string `yaml:"credentials_file"`
}

type tlsConfig struct {
	CAFile string `yaml:"ca_file"`
}

type discovery struct {
	URL     string `yaml:"url"`
	Refresh string `yaml:"refresh_interval"`
	Access  access `yaml:",inline"`
}

type relabel struct {
	Source []string `yaml:"source_labels,flow"`
	Regex  string   `yaml:"regex,omitempty"`
	Action string   `yaml:"action,omitempty"`
	Target string   `yaml:"target_label,omitempty"`
}

// mostSamples is more than a relay has, and less than hurts.
const mostSamples = 10_000

// The names of the jobs, which rules go by.
const (
	jobFleet = "fleetctl"
	jobRelay = "relay"
)

// prometheusText is prometheus.yml.
func prometheusText(o Options, rules []string) ([]byte, error) {
	var f prometheusFile
	f.Global.ScrapeInterval, f.Global.EvaluationInterval = promDuration(o.Interval), promDuration(o.Interval)
	f.Global.ScrapeTimeout = promDuration(min(o.Interval, 10*time.Second))
	f.RuleFiles = rules
	f.Alerting.Alertmanagers = []staticGroup{{Static: []static{{Targets: []string{o.Alertmanager}}}}}
	comments := yaml.CommentMap{}
	say := func(text string) {
		comments[fmt.Sprintf("$.scrape_configs[%d]", len(f.Scrape))] = []*yaml.Comment{yaml.HeadComment(text)}
	}
	serve := access{}
	if o.Serve != nil {
		serve = serveAccess(o)
		say(" The fleet as a whole, as 'fleetctl serve' sees it.")
		f.Scrape = append(f.Scrape, scrapeJob{
			Name: jobFleet, Scheme: o.Serve.Scheme, Access: serve,
			Static:  []static{{Targets: []string{hostPort(o.Serve)}, Labels: map[string]string{LabelFleet: o.Fleet}}},
			Relabel: nil,
		})
	}
	relays := scrapeJob{
		Name: jobRelay, Limit: mostSamples, Relabel: []relabel{{Source: []string{LabelNode}, Target: "instance"}},
		// What the fleet is, a relay does not say: one that did could silence every alert.
		Metrics: []relabel{{Source: []string{"__name__"}, Regex: "fleet[_:].+", Action: "drop"}},
	}
	if len(o.Targets) == 0 {
		say(fmt.Sprintf(" Each relay, through the SSH tunnels that serve keeps: port %d stays closed.", RelayPort))
		relays.Scheme, relays.Access = o.Serve.Scheme, serve
		relays.HTTPSD = []discovery{{URL: o.Serve.JoinPath(PathDiscovery).String(), Refresh: "30s", Access: serve}}
	} else {
		say(fmt.Sprintf(" Each relay at an address of its WireGuard or tailnet; on the public ones port %d stays closed.", RelayPort))
		if o.RelayToken != "" {
			relays.Access.Authorization = &authorization{o.RelayToken}
		}
		for _, t := range o.Targets {
			relays.Static = append(relays.Static, static{
				Targets: []string{t.Address}, Labels: map[string]string{LabelFleet: o.Fleet, LabelNode: t.Node, LabelRegion: t.Region},
			})
		}
	}
	f.Scrape = append(f.Scrape, relays)
	return yamlText(f, comments)
}

func serveAccess(o Options) access {
	var a access
	if o.ServeToken != "" {
		a.Authorization = &authorization{o.ServeToken}
	}
	if o.ServeCA != "" {
		a.TLS = &tlsConfig{o.ServeCA}
	}
	return a
}

// hostPort is the host and port of an address, the scheme's port where none is said.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// promDuration is a whole number of seconds as Prometheus writes it.
func promDuration(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }
