package fleet

import (
	"fmt"
	"testing"
)

func TestOpenings_AreThePortsOfTheOldFleetAndNeverTheAPI(t *testing.T) {
	s := Defaults("bitterbot", ProviderDigitalOcean, "", []NodeSpec{{Region: "nyc1", Count: 1}})
	if got, want := fmt.Sprint(Openings(s, 0)), "[icmp tcp 22 tcp 443 tcp 9100 udp 9101]"; got != want {
		t.Errorf("openings: got %s, want %s", got, want)
	}
	s.Relay.QUICPort, s.Relay.WSPort = 0, 443
	if got, want := fmt.Sprint(Openings(s, 2222)), "[icmp tcp 443 tcp 2222 tcp 9100]"; got != want {
		t.Errorf("openings without QUIC, with WebSocket and SSH elsewhere: got %s, want %s", got, want)
	}
}
