package monitoring

import "fmt"

// File is one file to be written: its path below the directory, with slashes.
type File struct {
	Name string
	Text []byte
}

// The files.
const (
	FilePrometheus   = "prometheus.yml"
	FileAlertmanager = "alertmanager.yml"
	FileRulesFleet   = "rules/fleet.yml"
	FileRulesRelay   = "rules/relay.yml"
	FileTestsFleet   = "tests/fleet.yml"
	FileTestsRelay   = "tests/relay.yml"
	FileDashboard    = "grafana/dashboard.json"
)

// Files makes every file, in the order of their names. The same options give the same bytes.
func Files(o Options) ([]File, error) {
	o, err := o.settled()
	if err != nil {
		return nil, err
	}
	serve := o.Serve != nil // without it nobody counts what the fleet's rules go by
	rules := []string{FileRulesRelay}
	if serve {
		rules = []string{FileRulesFleet, FileRulesRelay}
	}
	var files []File
	for _, f := range []struct {
		name   string
		wanted bool
		text   func() ([]byte, error)
	}{
		{FileAlertmanager, true, func() ([]byte, error) { return alertmanagerText(o) }},
		{FileDashboard, true, func() ([]byte, error) { return dashboardText(o.Runbooks) }},
		{FilePrometheus, true, func() ([]byte, error) { return prometheusText(o, rules) }},
		{FileRulesFleet, serve, func() ([]byte, error) { return rulesText("fleet", fleetRecordings(), fleetAlerts(), o.Runbooks) }},
		{FileRulesRelay, true, func() ([]byte, error) { return rulesText("relay", relayRecordings(), relayAlerts(), o.Runbooks) }},
		{FileTestsFleet, serve, func() ([]byte, error) { return testsText(FileRulesFleet, fleetAlerts(), o.Runbooks) }},
		{FileTestsRelay, true, func() ([]byte, error) { return testsText(FileRulesRelay, relayAlerts(), o.Runbooks) }},
	} {
		if !f.wanted {
			continue
		}
		text, err := f.text()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		files = append(files, File{Name: f.name, Text: text})
	}
	return files, nil
}
