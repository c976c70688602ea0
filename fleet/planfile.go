package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxPlanFile bounds a plan file, in bytes: a thousand nodes need about 2 MB.
const maxPlanFile = 64 << 20

// EncodePlan is the JSON form of a plan: stable, indented, ending in a newline.
func EncodePlan(p Plan) ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("plan: encode: %w", err)
	}
	return append(b, '\n'), nil
}

// Digest identifies what a plan does, where, and what it leaves for later: plans with the
// same changes in the same order to the same zone have equal digests, whatever words
// explain them. It is 64 hex digits.
func (p Plan) Digest() string {
	b, err := json.Marshal(struct {
		Version  int
		Fleet    string
		Domain   string
		Zone     string
		Stages   []Stage
		Deferred []Deferral
	}{p.Version, p.Fleet, p.Domain, p.Zone, wordless(p.Stages), wordlessDeferrals(p.Deferred)})
	if err != nil { // a Plan holds nothing that JSON cannot
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// wordless drops the reasons, which may tell of addresses and times that differ in every run.
func wordless(stages []Stage) []Stage {
	out := make([]Stage, len(stages))
	for i, s := range stages {
		changes := make([]Change, len(s.Changes))
		for j, c := range s.Changes {
			c.Reason = ""
			changes[j] = c
		}
		out[i] = Stage{Name: s.Name, Parallel: s.Parallel, Changes: changes}
	}
	return out
}

func wordlessDeferrals(all []Deferral) []Deferral {
	out := make([]Deferral, len(all))
	for i, d := range all {
		out[i] = Deferral{Action: d.Action, Ref: d.Ref}
	}
	return out
}

// DecodePlan reads a plan file for the fleet of a spec. It refuses another fleet's plan, one
// for another domain or zone, another version, fields that it does not know, and what is
// not a plan at all. Whoever knows where the file is says how to write another.
func DecodePlan(r io.Reader, s Spec) (Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPlanFile+1))
	if err != nil {
		return Plan{}, fmt.Errorf("plan file: %w", err)
	}
	if len(data) > maxPlanFile {
		return Plan{}, fmt.Errorf("plan file: longer than %d bytes", maxPlanFile)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(data, &head); err != nil {
		return Plan{}, fmt.Errorf("plan file: not a plan: %w", err)
	}
	if head.Version != PlanVersion {
		return Plan{}, fmt.Errorf("plan file: version %d, this fleetctl reads version %d", head.Version, PlanVersion)
	}
	var file struct {
		Plan
		Hash string `json:"hash"` // of what -o json printed
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return Plan{}, fmt.Errorf("plan file: %w", err)
	}
	p := file.Plan
	if p.Fleet != s.Name { // whatever else may be wrong with it
		return Plan{}, fmt.Errorf("plan file: it is for fleet %q, the spec is for %q", p.Fleet, s.Name)
	}
	if p.Domain == "" || p.Zone == "" { // its hash, if it has one, is of what a plan was then
		return Plan{}, errors.New("plan file: it does not say for which domain and zone it is: an earlier version of fleetctl made it")
	}
	if file.Hash != "" && file.Hash != p.Digest() {
		return Plan{}, fmt.Errorf("plan file: its hash is not that of the plan in it: the file was changed")
	}
	if err := p.isOf(s); err != nil {
		return Plan{}, fmt.Errorf("plan file: it %w", err)
	}
	return p, nil
}

// isOf is an error if the plan is for another domain or zone than the spec.
func (p Plan) isOf(s Spec) error {
	domain, zone := strings.ToLower(s.DNS.Domain), s.DNS.Home()
	switch {
	case p.Domain != domain:
		return fmt.Errorf("is for the domain %q, the spec is for %q", p.Domain, domain)
	case p.Zone != zone:
		return fmt.Errorf("is for the zone %q, the spec is for %q", p.Zone, zone)
	}
	return nil
}
