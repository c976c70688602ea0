package fleet

import "strings"

// The commented files that `fleetctl init` writes: head, the machines of one provider,
// then what is the same for all.
const (
	exampleHead = `# yaml-language-server: $schema=fleet.schema.json
# (fleetctl config schema > fleet.schema.json makes editors complete and check this file)
#
# What is not written here has its default: fleetctl config view shows all of it.

name: NAME                  # owns every machine and record that is marked with it
id: IDENTITY  # tells it from another fleet of this name; keep it
`

	exampleLocal = `provider: local             # the machines: processes of this computer, no account and no root

nodes:                      # a node is called <region>-<n>: nyc1-1, fra1-1, sgp1-1
  - {region: nyc1}          # count: 2 makes nyc1-1 and nyc1-2
  - {region: fra1}
  - {region: sgp1}          # delay: 80ms plays a box far away
`

	exampleOcean = `provider: digitalocean      # the API token is read from DIGITALOCEAN_TOKEN

nodes:                      # a node is called <region>-<n>: nyc1-1, fra1-1, sgp1-1
  - {region: nyc1}          # count: 2 makes nyc1-1 and nyc1-2
  - {region: fra1}
  - {region: sgp1}

digitalocean:
  size: s-1vcpu-1gb
  image: debian-12-x64
  # ssh_keys: [FILE.pub]    # more operators: .pub files, public keys, fingerprints on the account
  max_monthly: 30           # US dollars; nothing that exceeds it is bought
  max_machines: 5           # while a machine is replaced there is one more
  # token: {env: VARIABLE}  # or {file: PATH} or {command: [op, read, …]}
`

	exampleHosts = `provider: hosts             # the machines: made by somebody else, reached over SSH

hosts:                      # fleetctl import writes this list from what you have
  - {address: 203.0.113.10, region: nyc1}   # user: root, port: 22 and more: fleetctl config schema
  - {address: 203.0.113.20, region: fra1}
  - {address: 203.0.113.30, region: sgp1}
`

	exampleTail = `
relay:
  network: /NAME            # prefix of the network's own protocols
  limits:
    reservations: 1024      # clients that one relay holds at once

dns:
  zone: local               # a DNS server on loopback, for this computer only
  domain: p2p.NAME.test     # clients are given /dnsaddr/p2p.NAME.test
  ttl: TTL                    # seconds
  min_relays: 2             # fewer verified relays than these are never left published

rollout:
  max_parallel: 1           # relays restarted at once
  drain_timeout: DRAIN        # how long clients get to move before a machine goes
`
)

// Example is a commented fleet.yaml of three relays at a provider, for a fleet of that
// name and ID. An unknown provider is the default one. It loads without an error if the
// name is a DNS label of at most 32 characters and the ID has 8 to 26 of a-z and 0-9.
func Example(name, provider, id string) []byte {
	machines, ttl, drain := exampleLocal, "2", "10s"
	switch provider {
	case ProviderDigitalOcean:
		machines, ttl, drain = exampleOcean, "300", "10m"
	case ProviderHosts:
		machines, ttl, drain = exampleHosts, "300", "10m"
	}
	return []byte(strings.NewReplacer("NAME", name, "IDENTITY", id, "TTL", ttl, "DRAIN", drain).
		Replace(exampleHead + machines + exampleTail))
}
