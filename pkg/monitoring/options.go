package monitoring

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what is watched, from where, and who is told.
type Options struct {
	Fleet   string
	FleetID string // tells two fleets of one name apart; "" is not compared
	// Serve is where 'fleetctl serve' answers, as Prometheus reaches it: http or https, a
	// host, a port. Nil: the fleet as a whole is not watched.
	Serve *url.URL
	// Targets are relays that Prometheus reaches itself. Without any, they are read through Serve.
	Targets  []Target
	Interval time.Duration // between two scrapes; 0 is 15 seconds
	// Files with bearer tokens that Prometheus reads, as paths of its own computer; "" is none.
	ServeToken, RelayToken string
	ServeCA                string // file with the certificate that Serve is checked by; "" is the system's
	Alertmanager           string // its host:port; "" is 127.0.0.1:9093
	Notify                 []Receiver
	Runbooks               string // address of the runbook; "" is [Runbooks]
}

// Runbooks is where the runbook is published.
const Runbooks = "https://github.com/relayfleet/fleetctl/blob/main/docs/runbooks.md"

// Target is a relay and where its API is to be had: not on a public address, where it is
// closed, but on one of WireGuard or of a tailnet.
type Target struct {
	Node, Region string
	Address      string // host:port
}

// RelayPort is where a relay answers about itself.
const RelayPort = 9847

// TargetOf reads "NODE=HOST" or "NODE=HOST:PORT" and finds the node's region.
func TargetOf(text string, regionOf func(node string) (string, bool)) (Target, error) {
	node, address, ok := strings.Cut(text, "=")
	if !ok || node == "" || address == "" {
		return Target{}, fmt.Errorf("%q: accepted is NODE=ADDRESS, such as nyc1-1=100.64.0.7", text)
	}
	region, ok := regionOf(node)
	if !ok {
		return Target{}, fmt.Errorf("%q: the fleet has no node %s", text, node)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"), strconv.Itoa(RelayPort)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !isHost(host) {
		return Target{}, fmt.Errorf("%q: %s is no address", text, address)
	}
	return Target{Node: node, Region: region, Address: net.JoinHostPort(host, port)}, nil
}

// isHost reports whether a text is an IP address or a host name.
func isHost(s string) bool {
	return net.ParseIP(s) != nil || len(s) <= 253 && regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`).MatchString(s)
}

// Kind is a service that Alertmanager hands alerts to.
type Kind string

// The kinds of receivers.
const (
	Webhook   Kind = "webhook"        // Value is an address without a secret in it
	Slack     Kind = "slack-file"     // Value is a file with the address of a Slack webhook
	PagerDuty Kind = "pagerduty-file" // Value is a file with an integration key
)

// Receiver is where alerts go. Secrets stay in files that Alertmanager reads.
type Receiver struct {
	Kind  Kind
	Value string
}

// ReceiverOf reads "webhook=URL", "slack-file=FILE" or "pagerduty-file=FILE".
func ReceiverOf(text string) (Receiver, error) {
	kind, value, _ := strings.Cut(text, "=")
	r := Receiver{Kind(kind), value}
	switch {
	case r.Kind == Webhook:
		if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return Receiver{}, errors.New("webhook: accepted is webhook=URL with http or https")
		} else if u.User != nil {
			return Receiver{}, errors.New("webhook: the address has a password in it, which would stand in alertmanager.yml")
		}
	case r.Kind != Slack && r.Kind != PagerDuty:
		return Receiver{}, fmt.Errorf("%q: accepted are %s=URL, %s=FILE, %s=FILE", kind, Webhook, Slack, PagerDuty)
	case !filepath.IsAbs(value):
		return Receiver{}, fmt.Errorf("%s: %q: accepted is the absolute path of a file that Alertmanager can read", kind, value)
	}
	return r, nil
}

// settled fills in what was left out, and refuses what does not fit together.
func (o Options) settled() (Options, error) {
	if o.Interval == 0 {
		o.Interval = 15 * time.Second
	}
	if o.Alertmanager == "" {
		o.Alertmanager = "127.0.0.1:9093"
	}
	if o.Runbooks == "" {
		o.Runbooks = Runbooks
	}
	if o.Serve == nil && len(o.Targets) == 0 {
		return o, errors.New("neither the address of 'fleetctl serve' nor a target is given")
	}
	if o.Interval < time.Second || o.Interval > 2*time.Minute {
		return o, fmt.Errorf("interval %s: accepted is 1s to 2m; rates are taken over 5 minutes", o.Interval)
	}
	if s := o.Serve; s != nil && (s.Host == "" || s.Scheme != "http" && s.Scheme != "https" || s.User != nil || strings.Trim(s.Path, "/") != "" || s.RawQuery != "") {
		return o, errors.New("the address of 'fleetctl serve': accepted is http://HOST:PORT or https://HOST:PORT")
	}
	if o.Serve != nil && o.Serve.Scheme == "http" && o.ServeToken != "" && !loopback(o.Serve.Hostname()) {
		return o, errors.New("a token for 'fleetctl serve' would be sent without TLS: accepted is an https address")
	}
	if u, err := url.Parse(o.Runbooks); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return o, fmt.Errorf("runbooks: %q: accepted is the http or https address of a page", o.Runbooks)
	}
	if _, _, err := net.SplitHostPort(o.Alertmanager); err != nil {
		return o, fmt.Errorf("alertmanager: %q: accepted is HOST:PORT", o.Alertmanager)
	}
	for _, file := range []string{o.ServeToken, o.RelayToken, o.ServeCA} {
		if file != "" && !filepath.IsAbs(file) {
			return o, fmt.Errorf("%q: accepted is an absolute path: Prometheus reads the file", file)
		}
	}
	o.Targets = slices.Clone(o.Targets)
	slices.SortFunc(o.Targets, func(a, b Target) int { return strings.Compare(a.Node, b.Node) })
	for i := 1; i < len(o.Targets); i++ {
		if o.Targets[i].Node == o.Targets[i-1].Node {
			return o, fmt.Errorf("%s is given two addresses", o.Targets[i].Node)
		}
	}
	return o, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Origin is what the files of these options are made from.
func (o Options) Origin() (Origin, error) {
	o, err := o.settled()
	if err != nil {
		return Origin{}, err
	}
	of := Origin{Fleet: o.Fleet, ID: o.FleetID, Flags: make(map[string][]string)}
	add := func(flag, value string) {
		if value != "" {
			of.Flags[flag] = append(of.Flags[flag], value)
		}
	}
	if o.Serve != nil {
		add("serve", o.Serve.String())
	}
	for _, t := range o.Targets {
		add("target", t.Node+"="+t.Address)
	}
	for _, n := range o.Notify {
		add("notify", string(n.Kind)+"="+n.Value)
	}
	add("token-file", o.ServeToken)
	add("relay-token-file", o.RelayToken)
	add("ca-file", o.ServeCA)
	add("alertmanager", o.Alertmanager)
	add("interval", promDuration(o.Interval))
	add("runbooks", o.Runbooks)
	return of, nil
}
