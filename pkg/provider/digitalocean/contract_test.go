package digitalocean

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/providertest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func suite(t *testing.T, cfg dotest.Config) {
	cfg.Limits = dotest.NoLimits()
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		r := newRig(t, cfg)
		handle := func() fleet.Provider {
			return r.provider(func(c *Config) { c.Waits = waits() })
		}
		return providertest.Subject{
			Provider: handle(), Fleet: r.spec.Name, Key: operatorKey,
			Again: func(*testing.T) fleet.Provider {
				p := handle()
				must(t, "EnsureKey", p.EnsureKey(t.Context(), operatorKey))
				return p
			},
			SwitchOff: func(t *testing.T, id string) {
				t.Helper()
				r.do("POST", "/v2/droplets/"+id+"/actions", `{"type":"power_off"}`)
				for !strings.Contains(r.do("GET", "/v2/droplets/"+id, ""), `"status":"off"`) {
					must(t, "waiting for the power to be off", t.Context().Err())
				}
			},
		}
	})
}

func TestProvider_KeepsTheContract(t *testing.T) {
	suite(t, dotest.Config{})
}

func TestProvider_KeepsTheContractOfASlowCloud(t *testing.T) {
	suite(t, dotest.Config{
		Boot: dotest.Lag{Reads: 4}, Tag: dotest.Lag{Reads: 3}, Act: dotest.Lag{Reads: 2}, Delete: dotest.Lag{Reads: 3},
	})
}
