// A client of a fleet that shares no code with it: js-libp2p resolves the fleet's
// /dnsaddr name at the fleet's own DNS server, and for every relay that it finds there it
// connects, reserves a slot and lets a second client pass bytes through the relay.
//
//   node witness.mjs --dns 127.0.0.1:5353 --domain p2p.three.test --relays 3
//   node witness.mjs --address /ip4/127.0.0.1/tcp/9100/p2p/12D3…      (one relay, no DNS)
//
// Prints a line "ok …" for each thing that was seen, and exits 0 only if all were.
import { noise } from '@chainsafe/libp2p-noise'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { dns, RecordType } from '@multiformats/dns'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { randomBytes } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { parseArgs } from 'node:util'

const PROTOCOL = '/fleetctl/e2e/echo/1.0.0'
const DEADLINE = 20_000 // milliseconds for each step
const BYTES = 16 * 1024

const { values: options } = parseArgs({
  options: {
    dns: { type: 'string' }, // host:port of the zone's server
    domain: { type: 'string' },
    relays: { type: 'string', default: '0' }, // how many there must be
    address: { type: 'string', multiple: true }
  }
})

const ok = (...words) => console.log('ok', ...words)
const signal = () => AbortSignal.timeout(DEADLINE)

// step gives what fails a name.
async function step (name, run) {
  const started = performance.now()
  try {
    const value = await run()
    return { value, took: Math.round(performance.now() - started) + ' ms' }
  } catch (err) {
    throw new Error(`${name}: ${err.message}`, { cause: err })
  }
}

// ask returns the TXT strings at a name, from the fleet's server and no other.
async function ask (name) {
  const resolver = new Resolver({ timeout: 3000, tries: 2 })
  resolver.setServers([options.dns])
  const records = await resolver.resolveTxt(name)
  return records.map(parts => parts.join(''))
}

// zone is the resolver that js-libp2p is given: it makes one of its own otherwise.
const zone = () => dns({
  resolvers: {
    '.': async (name) => ({
      Status: 0, TC: false, RD: false, RA: false, AD: false, CD: false,
      Question: [{ name, type: RecordType.TXT }],
      Answer: (await ask(name)).map(data => ({ name, type: RecordType.TXT, TTL: 1, data }))
    })
  }
})

const client = (listen = []) => createLibp2p({
  addresses: { listen },
  transports: [tcp(), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() },
  connectionGater: { denyDialMultiaddr: () => false }, // loopback is where this fleet lives
  ...(options.dns ? { dns: zone() } : {})
})

// until waits for a condition that an event may change.
async function until (node, event, condition) {
  const found = condition()
  if (found) return found
  return new Promise((resolve, reject) => {
    const stop = signal()
    const look = () => {
      const found = condition()
      if (!found) return
      node.removeEventListener(event, look)
      resolve(found)
    }
    node.addEventListener(event, look)
    stop.addEventListener('abort', () => {
      node.removeEventListener(event, look)
      reject(new Error(`nothing after ${DEADLINE} ms`))
    })
  })
}

// connectByName dials the fleet as a client does that knows only its name.
async function connectByName () {
  const node = await client()
  try {
    const { value: connection, took } = await step('connect by name', () =>
      node.dial(multiaddr(`/dnsaddr/${options.domain}`), { signal: signal() }))
    ok('connected', `/dnsaddr/${options.domain}`, connection.remotePeer.toString(), took)
  } finally {
    await node.stop()
  }
}

// useRelay reserves at one relay and passes bytes through it.
async function useRelay (address) {
  const id = address.getComponents().findLast(c => c.name === 'p2p').value
  const dialer = await client()
  // The listener reserves while it starts; the address of its slot comes with the answer.
  const { value: listener, took: started } = await step(`${id}: start`, () => client([`${address}/p2p-circuit`]))
  try {
    await listener.handle(PROTOCOL, async (stream) => {
      for await (const chunk of stream) stream.send(chunk)
      await stream.close()
    }, { runOnLimitedConnection: true })

    const { value: circuit } = await step(`${id}: reserve`, () =>
      until(listener, 'self:peer:update', () => listener.getMultiaddrs().find(a => a.toString().includes('/p2p-circuit'))))
    ok('reserved', id, started)

    const peer = await listener.peerStore.get(listener.getConnections()[0].remotePeer)
    const agent = new TextDecoder().decode(peer.metadata.get('AgentVersion'))
    if (agent.split('/').length !== 3) throw new Error(`${id}: agent is ${JSON.stringify(agent)}, want name/version/tier`)
    ok('identified', id, agent)

    const { took: rtt } = await step(`${id}: ping`, () => dialer.services.ping.ping(address, { signal: signal() }))
    ok('pinged', id, rtt)

    const { took: passed } = await step(`${id}: relay`, async () => {
      const stream = await dialer.dialProtocol(circuit, PROTOCOL, { runOnLimitedConnection: true, signal: signal() })
      const sent = randomBytes(BYTES)
      const received = []
      let length = 0
      stream.send(sent)
      for await (const chunk of stream) {
        received.push(chunk.subarray())
        length += chunk.byteLength
        if (length >= sent.length) break
      }
      if (!Buffer.concat(received).equals(sent)) throw new Error(`${length} bytes came back, and not the ${sent.length} that were sent`)
      const ways = dialer.getConnections(listener.peerId)
      if (ways.length === 0 || !ways.every(c => c.remoteAddr.toString().includes(id))) throw new Error('the clients are connected without the relay')
      stream.abort(new Error('done'))
    })
    ok('relayed', id, `${BYTES} bytes there and back`, passed)
  } finally {
    await Promise.all([listener.stop(), dialer.stop()])
  }
}

async function main () {
  let addresses = (options.address ?? []).map(a => multiaddr(a))
  if (options.dns) {
    const { value: texts, took } = await step('resolve', () => ask(`_dnsaddr.${options.domain}`))
    addresses = texts.filter(t => t.startsWith('dnsaddr=')).map(t => multiaddr(t.slice('dnsaddr='.length)))
    const want = Number(options.relays)
    if (addresses.length === 0 || (want > 0 && addresses.length !== want)) {
      throw new Error(`resolve: ${addresses.length} addresses, want ${want}`)
    }
    ok('resolved', `_dnsaddr.${options.domain}`, `${addresses.length} addresses`, took)
    await connectByName()
  }
  if (addresses.length === 0) throw new Error('neither --dns with --domain nor --address is given')
  for (const address of addresses) await useRelay(address)
}

try {
  await main()
} catch (err) {
  console.error('FAILED', err.message)
  process.exit(1)
}
