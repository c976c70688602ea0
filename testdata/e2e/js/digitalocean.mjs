// A client of DigitalOcean's API that shares no code with fleetctl: @digitalocean/dots,
// which DigitalOcean makes from its own description of the API. It lists the droplets of a
// fleet by tag, each again by itself, and the fleet's firewall.
//
//   DIGITALOCEAN_TOKEN=… node digitalocean.mjs --api http://127.0.0.1:8080 --tag fleet:three --fence fence:three --droplets 3
//
// Prints a line "ok …" for each thing that was seen, and exits 0 only if all were.
import { createDigitalOceanClient, DigitalOceanApiKeyAuthenticationProvider } from '@digitalocean/dots'
import { FetchRequestAdapter } from '@microsoft/kiota-http-fetchlibrary'
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'

const DEADLINE = 30_000 // milliseconds for all of it

const { values: options } = parseArgs({
  options: {
    api: { type: 'string' },
    tag: { type: 'string' },
    fence: { type: 'string' },
    droplets: { type: 'string', default: '0' } // how many there must be
  }
})

const ok = (...words) => console.log('ok', ...words)

// covers reads what a rule has for ports: one, a range, "all", or 0, which is all.
const covers = (ports, port) => {
  if (!ports || ports === 'all' || ports === '0') return true
  const [first, last = first] = ports.split('-').map(Number)
  return first <= port && port <= last
}

const adapter = new FetchRequestAdapter(new DigitalOceanApiKeyAuthenticationProvider(process.env.DIGITALOCEAN_TOKEN))
adapter.baseUrl = options.api
const api = createDigitalOceanClient(adapter).v2

async function look () {
  const { account } = await api.account.get()
  assert.equal(account.status, 'active')
  ok('account', account.email, 'may have', account.dropletLimit, 'droplets')

  const { droplets } = await api.droplets.get({ queryParameters: { tagName: options.tag, perPage: 200 } })
  assert.equal(droplets.length, Number(options.droplets), 'droplets with the tag')
  for (const listed of droplets) {
    const { droplet } = await api.droplets.byDroplet_id(listed.id).get()
    assert.equal(droplet.name, listed.name)
    assert.equal(droplet.status, 'active')
    assert.ok(droplet.tags.includes(options.tag) && droplet.tags.includes(options.fence), 'its tags')
    const addresses = [...droplet.networks.v4, ...droplet.networks.v6].map(n => n.ipAddress)
    assert.ok(addresses.length >= 2, 'an address of each family')
    ok('droplet', droplet.id, droplet.name, droplet.region.slug, droplet.sizeSlug, ...addresses)
  }

  const { firewalls } = await api.firewalls.get()
  const [firewall] = firewalls.filter(f => f.tags.includes(options.fence))
  assert.ok(firewall, 'a firewall for the tag')
  assert.deepEqual(firewall.dropletIds ?? [], [], 'no droplet by its ID')
  const opens = port => firewall.inboundRules.some(r => r.protocol === 'tcp' && covers(r.ports, port))
  assert.ok(opens(9100), 'the relay\'s port is open')
  assert.ok(!opens(9847), '9847 is never open')
  ok('firewall', firewall.name, ...firewall.inboundRules.map(r => r.protocol + (r.ports ? '/' + r.ports : '')))
}

const late = setTimeout(() => {
  console.error(`dots: not done after ${DEADLINE} ms`)
  process.exit(1)
}, DEADLINE)
look().catch(error => {
  console.error('dots:', error.message || error.messageEscaped || error)
  process.exitCode = 1
}).finally(() => clearTimeout(late))
