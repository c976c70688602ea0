package relay

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// Example is a configuration file with every key, for people to start from.
func Example() string {
	return `# relay.yaml: one relay. Keys that are not known are refused.
name: relay                 # first field of the agent string <name>/<version>/<tier>
tier: management            # third field of the agent string
network: /relay             # protocol prefix: /relay/kad/1.0.0, /relay/id/1.0.0
state: /var/lib/relay       # identity, census and counters; one relay at a time
listen:                     # tcp, quic-v1 and ws on literal IP addresses
  - /ip4/0.0.0.0/tcp/9100
  - /ip4/0.0.0.0/udp/9101/quic-v1
announce:                   # told to peers exactly as written; empty tells the listen addresses
  - /ip4/192.0.2.7/tcp/9100
api: 127.0.0.1:9847         # the HTTP API, loopback only
# api_token_file: /etc/relay/token   # then /api and /metrics ask for this bearer token
grace: 5s                   # open circuits may go on that long after SIGTERM
census_every: 30s           # how often the census is written
limits:
  reservations: 1024        # held at once
  reservations_per_ip: 64   # held at once from one IP address
  circuits: 512             # open at once on the whole relay
  circuits_per_peer: 16     # open at once, as source and target together
  circuit_duration: 2m0s    # 0s is no limit
  circuit_data: 131072      # bytes each way, 0 is no limit
  connections: 4096         # peers connected at once
  memory: 536870912         # bytes that the libp2p host may use
`
}

// Schema is the JSON Schema of a configuration file.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{DoNotReference: true, RequiredFromJSONSchemaTags: true}
	s := r.Reflect(&Config{})
	s.Title = "relay.yaml"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return append(text, '\n'), nil
}
