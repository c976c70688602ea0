package monitoring

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// throughServe and direct are the two ways to watch a fleet.
func throughServe(t *testing.T) Options {
	t.Helper()
	u, err := url.Parse("https://fleet.example.net:8484")
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Fleet: "harbour", Serve: u, ServeToken: "/etc/prometheus/serve.token", ServeCA: "/etc/prometheus/serve.pem",
		Notify: []Receiver{{Webhook, "http://127.0.0.1:9000/alerts"}, {Slack, "/etc/alertmanager/slack"}, {PagerDuty, "/etc/alertmanager/pagerduty"}},
	}
}

func direct() Options {
	return Options{
		Fleet: "harbour", RelayToken: "/etc/prometheus/relay.token",
		Targets: []Target{{"sgp1-1", "sgp1", "[fd7a::3]:9847"}, {"nyc1-1", "nyc1", "100.64.0.7:9847"}},
	}
}

func filesOf(t *testing.T, o Options) map[string]string {
	t.Helper()
	files, err := Files(o)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, f := range files {
		all[f.Name] = string(f.Text)
	}
	return all
}

// TestFiles_AreTheGoldenOnes compares every byte that is written with what was looked at.
func TestFiles_AreTheGoldenOnes(t *testing.T) {
	for mode, o := range map[string]Options{"serve": throughServe(t), "direct": direct()} {
		for name, got := range filesOf(t, o) {
			golden := filepath.Join("testdata", mode, filepath.FromSlash(name))
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; run the test with -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s: -golden +made\n%s", golden, diff)
			}
		}
	}
}

// TestFiles_NoSecretIsWritten reads the places where Prometheus and Alertmanager take one.
func TestFiles_NoSecretIsWritten(t *testing.T) {
	for _, o := range []Options{throughServe(t), direct()} {
		for name, text := range filesOf(t, o) {
			for _, key := range []string{"credentials:", "bearer_token:", "password:", "api_url:", "routing_key:"} {
				if strings.Contains(text, key) {
					t.Errorf("%s has %s: a secret would stand in it", name, key)
				}
			}
		}
	}
}

// TestFiles_AreYAMLThatRefersToWhatIsThere parses each file and follows its references.
func TestFiles_AreYAMLThatRefersToWhatIsThere(t *testing.T) {
	for _, o := range []Options{throughServe(t), direct()} {
		files := filesOf(t, o)
		var p prometheusFile
		strict(t, files[FilePrometheus], &p)
		for _, name := range p.RuleFiles {
			if files[name] == "" {
				t.Errorf("prometheus.yml names %s, which is not written", name)
			}
		}
		names := make(map[string]bool)
		for _, a := range Alerts() {
			names[a.Name] = true
		}
		for name, text := range files {
			switch {
			case strings.HasPrefix(name, "rules/"):
				var f ruleFile
				strict(t, text, &f)
				if len(f.Groups) != 1 || len(f.Groups[0].Rules) < 5 {
					t.Errorf("%s: got %d groups, want one with rules", name, len(f.Groups))
				}
			case strings.HasPrefix(name, "tests/"):
				var f testFile
				strict(t, text, &f)
				for _, rules := range f.RuleFiles {
					if files[strings.TrimPrefix(rules, "../")] == "" {
						t.Errorf("%s tests %s, which is not written", name, rules)
					}
				}
			}
		}
		var a alertmanagerFile
		strict(t, files[FileAlertmanager], &a)
		receivers := make(map[string]bool)
		for _, r := range a.Receivers {
			receivers[r.Name] = true
		}
		for _, r := range append(a.Route.Routes, a.Route) {
			if !receivers[r.Receiver] {
				t.Errorf("alertmanager.yml routes to %q, which is no receiver", r.Receiver)
			}
		}
		for _, i := range a.Inhibit {
			for _, m := range append(i.Source, i.Target...) {
				what, of, _ := strings.Cut(m, "=")
				for name := range strings.SplitSeq(strings.Trim(of, `~"`), "|") {
					if what == "alertname" && !names[name] {
						t.Errorf("alertmanager.yml inhibits by %s, which is no alert", name)
					}
				}
			}
		}
	}
}

func strict(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(text), into, yaml.DisallowUnknownField()); err != nil {
		t.Fatalf("%T: %v\n%s", into, err, text)
	}
}

// TestFiles_BadOptionsAreRefused names what is wrong.
func TestFiles_BadOptionsAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"neither the address":      func(o *Options) { o.Serve = nil },
		"interval 3ms":             func(o *Options) { o.Interval = 3e6 },
		"accepted is http://HOST":  func(o *Options) { o.Serve = &url.URL{Scheme: "ftp", Host: "x"} },
		"would be sent without":    func(o *Options) { o.Serve = &url.URL{Scheme: "http", Host: "fleet.example.net:8484"} },
		"accepted is an absolute":  func(o *Options) { o.ServeToken = "token" },
		"accepted is HOST:PORT":    func(o *Options) { o.Alertmanager = "nowhere" },
		"nyc1-1 is given two":      func(o *Options) { o.Targets = []Target{{Node: "nyc1-1"}, {Node: "nyc1-1"}} },
		"accepted is the http or ": func(o *Options) { o.Runbooks = "docs/runbooks.md" },
	} {
		o := throughServe(t)
		change(&o)
		if _, err := Files(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestTargetOf(t *testing.T) {
	regionOf := func(node string) (string, bool) { return "nyc1", node == "nyc1-1" }
	for text, want := range map[string]string{
		"nyc1-1=100.64.0.7":              "{nyc1-1 nyc1 100.64.0.7:9847}",
		"nyc1-1=100.64.0.7:80":           "{nyc1-1 nyc1 100.64.0.7:80}",
		"nyc1-1=fd7a::3":                 "{nyc1-1 nyc1 [fd7a::3]:9847}",
		"nyc1-1=[fd7a::3]":               "{nyc1-1 nyc1 [fd7a::3]:9847}",
		"nyc1-1=[fd7a::3]:80":            "{nyc1-1 nyc1 [fd7a::3]:80}",
		"nyc1-1=nyc1.tail1234.ts.net":    "{nyc1-1 nyc1 nyc1.tail1234.ts.net:9847}",
		"nyc1-1":                         "accepted is NODE=ADDRESS",
		"=1.2.3.4":                       "accepted is NODE=ADDRESS",
		"fra1-1=1.2.3.4":                 "the fleet has no node fra1-1",
		"nyc1-1=1.2.3.4:0":               "is no address",
		"nyc1-1=1.2.3.4:http":            "is no address",
		"nyc1-1=http://1.2.3.4/metrics":  "is no address",
		"nyc1-1=a\n- targets: [evil:80]": "is no address",
	} {
		got, err := TargetOf(text, regionOf)
		said := fmt.Sprint(got)
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("%q: got %s, want %s", text, said, want)
		}
	}
}

func TestReceiverOf(t *testing.T) {
	for text, want := range map[string]string{
		"webhook=http://127.0.0.1:9000/":    "{webhook http://127.0.0.1:9000/}",
		"slack-file=/etc/slack":             "{slack-file /etc/slack}",
		"pagerduty-file=/etc/pd":            "{pagerduty-file /etc/pd}",
		"webhook=https://a:b@example.net/":  "has a password in it",
		"webhook=ftp://example.net":         "accepted is webhook=URL",
		"slack-file=slack":                  "absolute path",
		"slack=https://hooks.example.net/T": "accepted are",
		"":                                  "accepted are",
	} {
		got, err := ReceiverOf(text)
		said := fmt.Sprint(got)
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("%q: got %s, want %s", text, said, want)
		}
	}
}
