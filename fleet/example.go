package fleet

import "strings"

// example is the commented file that `fleetctl init` writes.
const example = `# yaml-language-server: $schema=fleet.schema.json
# (fleetctl config schema > fleet.schema.json makes editors complete and check this file)
#
# What is not written here has its default: fleetctl config view shows all of it.

name: NAME                  # owns every machine and record that is marked with it
provider: local             # the machines: processes of this computer, no account and no root

nodes:                      # a node is called <region>-<n>: nyc1-1, fra1-1, sgp1-1
  - {region: nyc1}          # count: 2 makes nyc1-1 and nyc1-2
  - {region: fra1}
  - {region: sgp1}          # delay: 80ms plays a box far away

relay:
  network: /NAME            # prefix of the network's own protocols
  limits:
    reservations: 1024      # clients that one relay holds at once

dns:
  zone: local               # a DNS server on loopback, for this computer only
  domain: p2p.NAME.test     # clients are given /dnsaddr/p2p.NAME.test
  ttl: 2                    # seconds
  min_relays: 2             # fewer verified relays than these are never left published

rollout:
  max_parallel: 1           # relays restarted at once
  drain_timeout: 10s        # how long clients get to move before a machine goes
`

// Example is a commented fleet.yaml with three local relays for a fleet of that name.
// It loads without an error if the name is a DNS label of at most 32 characters.
func Example(name string) []byte {
	return []byte(strings.ReplaceAll(example, "NAME", name))
}
