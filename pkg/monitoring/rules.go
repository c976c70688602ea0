package monitoring

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// ruleFile is a file of rules as Prometheus reads it.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

type rule struct {
	Record      string       `yaml:"record,omitempty"`
	Alert       string       `yaml:"alert,omitempty"`
	Expr        string       `yaml:"expr"`
	For         string       `yaml:"for,omitempty"`
	Labels      *ruleLabels  `yaml:"labels,omitempty"`
	Annotations *annotations `yaml:"annotations,omitempty"`
}

type ruleLabels struct {
	Severity Severity `yaml:"severity"`
}

// annotations are what an alert says beside its labels.
type annotations struct {
	Summary     string `yaml:"summary"`
	Description string `yaml:"description"`
	RunbookURL  string `yaml:"runbook_url"`
}

// rulesText is one group: what the alerts go by is recorded before them, in the same run.
func rulesText(name string, recordings []Recording, alerts []Alert, runbook string) ([]byte, error) {
	g := ruleGroup{Name: name}
	comments := yaml.CommentMap{}
	for i, r := range recordings {
		g.Rules = append(g.Rules, rule{Record: r.Name, Expr: r.Expr})
		comments[fmt.Sprintf("$.groups[0].rules[%d]", i)] = []*yaml.Comment{yaml.HeadComment(" " + r.Help)}
	}
	for _, a := range alerts {
		g.Rules = append(g.Rules, rule{
			Alert: a.Name, Expr: a.Expr, For: a.For, Labels: &ruleLabels{a.Severity},
			Annotations: &annotations{a.Summary, a.Description, a.runbook(runbook)},
		})
	}
	return yamlText(ruleFile{Groups: []ruleGroup{g}}, comments)
}

// runbook is the address of the alert's section: the page's, and its heading as GitHub
// makes an anchor of it.
func (a Alert) runbook(page string) string { return page + "#" + strings.ToLower(a.Name) }

// head begins every file that can hold a comment.
const head = "# Written by 'fleetctl monitoring init', which keeps a file that was edited since.\n"

func yamlText(v any, comments yaml.CommentMap) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(v, yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true), yaml.WithComment(comments))
	if err != nil {
		return nil, err
	}
	return append([]byte(head), text...), nil
}
