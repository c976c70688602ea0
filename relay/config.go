package relay

import (
	"fmt"
	"time"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// Config is one relay as its operator wants it. The zero value of an optional field
// stands for its default; see [Default].
type Config struct {
	Name         string        `yaml:"name" json:"name" jsonschema:"description=first field of the agent string"`
	Tier         string        `yaml:"tier" json:"tier" jsonschema:"description=third field of the agent string"`
	Network      string        `yaml:"network" json:"network" jsonschema:"description=protocol prefix such as /bitterbot"`
	State        string        `yaml:"state" json:"state" jsonschema:"description=absolute path of the state directory"`
	Listen       []string      `yaml:"listen" json:"listen" jsonschema:"description=multiaddrs: /tcp/N or /udp/N/quic-v1 or /tcp/N/ws below /ip4 or /ip6"`
	Announce     []string      `yaml:"announce,omitempty" json:"announce,omitempty" jsonschema:"description=multiaddrs told to peers; empty tells the listen addresses"`
	API          string        `yaml:"api" json:"api" jsonschema:"description=loopback address of the HTTP API"`
	APITokenFile string        `yaml:"api_token_file,omitempty" json:"api_token_file,omitempty" jsonschema:"description=file with the bearer token that /api and /metrics ask for"`
	Grace        time.Duration `yaml:"grace,omitempty" json:"grace,omitempty" jsonschema:"type=string,description=how long open circuits may go on after SIGTERM"`
	CensusEvery  time.Duration `yaml:"census_every,omitempty" json:"census_every,omitempty" jsonschema:"type=string,description=how often the census is written"`
	Limits       Limits        `yaml:"limits" json:"limits"`

	// Version and Revision are the program's own, told by main; they are no keys.
	Version  string `yaml:"-" json:"-"`
	Revision string `yaml:"-" json:"-"`
}

// Limits are the most that one relay gives away.
type Limits struct {
	Reservations      int           `yaml:"reservations" json:"reservations" jsonschema:"description=held at once"`
	ReservationsPerIP int           `yaml:"reservations_per_ip" json:"reservations_per_ip" jsonschema:"description=held at once from one IP address"`
	Circuits          int           `yaml:"circuits" json:"circuits" jsonschema:"description=open at once on the whole relay"`
	CircuitsPerPeer   int           `yaml:"circuits_per_peer" json:"circuits_per_peer" jsonschema:"description=open at once as source and target together"`
	CircuitDuration   time.Duration `yaml:"circuit_duration" json:"circuit_duration" jsonschema:"type=string,description=0s is no limit"`
	CircuitData       int64         `yaml:"circuit_data" json:"circuit_data" jsonschema:"description=bytes each way; 0 is no limit"`
	Connections       int           `yaml:"connections" json:"connections" jsonschema:"description=peers connected at once"`
	Memory            int64         `yaml:"memory" json:"memory" jsonschema:"description=bytes that the libp2p host may use"`
}

// Default is a relay that would serve on a small box, with its state in
// /var/lib/relay. Only announce is left to the operator.
func Default() Config {
	return Config{
		Name:        "relay",
		Tier:        "management",
		Network:     "/relay",
		State:       "/var/lib/relay",
		Listen:      []string{"/ip4/0.0.0.0/tcp/9100", "/ip4/0.0.0.0/udp/9101/quic-v1"},
		API:         "127.0.0.1:9847",
		Grace:       5 * time.Second,
		CensusEvery: 30 * time.Second,
		Limits: Limits{
			Reservations:      1024,
			ReservationsPerIP: 64,
			Circuits:          512,
			CircuitsPerPeer:   16,
			CircuitDuration:   2 * time.Minute,
			CircuitData:       128 << 10,
			Connections:       4096,
			Memory:            512 << 20,
		},
	}
}

// LoadConfig reads a configuration file and validates it. An unknown key is an
// error that names its line and the nearest known key.
func LoadConfig(path string) (Config, error) {
	text, err := readBounded(path, maxConfigBytes)
	if err != nil {
		return Config{}, hint(fmt.Errorf("config: %w", err),
			"write one with `relay config example > "+path+"`")
	}
	cfg, err := ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("config: %s: %w", path, err)
	}
	return cfg, nil
}

// ParseConfig reads the text of a configuration file over the defaults and
// validates the result.
func ParseConfig(text []byte) (Config, error) {
	cfg := Default()
	if err := decodeStrict(text, &cfg); err != nil {
		return Config{}, err
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// withDefaults fills the optional fields that stand at their zero value.
func (c Config) withDefaults() Config {
	d := Default()
	if c.Grace == 0 {
		c.Grace = d.Grace
	}
	if c.CensusEvery == 0 {
		c.CensusEvery = d.CensusEvery
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	return c
}

// agent is the agent string of identify: <name>/<version>/<tier>.
func (c Config) agent() string { return c.Name + "/" + c.Version + "/" + c.Tier }

// token is the bearer token that the API asks for; empty when it asks for none.
func (c Config) token() (string, error) {
	if c.APITokenFile == "" {
		return "", nil
	}
	text, err := readBounded(c.APITokenFile, 4096+2)
	if err != nil {
		return "", fmt.Errorf("api_token_file: %w", err)
	}
	return parseToken(text)
}
