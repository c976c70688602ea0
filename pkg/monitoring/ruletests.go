package monitoring

import (
	"path"
	"slices"
)

// testFile is a file of 'promtool test rules'.
type testFile struct {
	RuleFiles          []string   `yaml:"rule_files"`
	EvaluationInterval string     `yaml:"evaluation_interval"`
	Tests              []ruleTest `yaml:"tests"`
}

type ruleTest struct {
	Name   string      `yaml:"name"`
	Step   string      `yaml:"interval"`
	Input  []testInput `yaml:"input_series"`
	Alerts []alertTest `yaml:"alert_rule_test"`
}

type testInput struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	At     string      `yaml:"eval_time"`
	Alert  string      `yaml:"alertname"`
	Expect []testFired `yaml:"exp_alerts"`
}

type testFired struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations annotations       `yaml:"exp_annotations"`
}

// testsText has a test for each case of the alerts, by the rules in rulesFile.
func testsText(rulesFile string, alerts []Alert, runbook string) ([]byte, error) {
	f := testFile{RuleFiles: []string{path.Join("..", rulesFile)}, EvaluationInterval: "1m"}
	for _, a := range alerts {
		for _, c := range a.Cases {
			f.Tests = append(f.Tests, c.test(a, runbook))
		}
	}
	return yamlText(f, nil)
}

func (c Case) test(a Alert, runbook string) ruleTest {
	t := ruleTest{Name: a.Name + ": " + c.Name, Step: "1m"}
	for _, in := range c.Input {
		t.Input = append(t.Input, testInput(in))
	}
	for _, at := range c.Quiet {
		t.Alerts = append(t.Alerts, alertTest{At: at, Alert: a.Name, Expect: []testFired{}})
	}
	if c.Fires != "" {
		labels := map[string]string{"severity": string(a.Severity), LabelFleet: "f"}
		if c.Relay {
			labels[LabelNode], labels[LabelRegion] = "nyc1-1", "nyc1"
		}
		fired := testFired{labels, annotations{c.Summary, c.Description, a.runbook(runbook)}}
		t.Alerts = append(t.Alerts, alertTest{At: c.Fires, Alert: a.Name, Expect: []testFired{fired}})
	}
	slices.SortStableFunc(t.Alerts, func(a, b alertTest) int { return minutes(a.At) - minutes(b.At) })
	return t
}

// minutes reads "12m"; what is none is 0.
func minutes(at string) int {
	n := 0
	for _, r := range at {
		if r >= '0' && r <= '9' {
			n = 10*n + int(r-'0')
		}
	}
	return n
}
