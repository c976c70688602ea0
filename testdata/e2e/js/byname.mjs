// A client that knows relays by name alone: js-libp2p dials each /dnsaddr address that it is
// given, with a new node each time, and resolves it at one DNS server and no other, as
// js-libp2p in Node does: by UDP, by TCP what does not fit, and each string of a TXT record
// by itself.
//
//   node byname.mjs --dns 127.0.0.1:5353 /dnsaddr/p2p.example /dnsaddr/nyc1.p2p.example/p2p/12D3…
//
// Prints one line of JSON for each address: {"address", "peer", "error"}. Exits 0 if it
// could try them all, whatever came of it.
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { dns, RecordType } from '@multiformats/dns'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Resolver } from 'node:dns/promises'
import { parseArgs } from 'node:util'

const DEADLINE = 20_000 // milliseconds for each address

const { values: options, positionals: addresses } = parseArgs({
  options: { dns: { type: 'string' } },
  allowPositionals: true
})

async function query (name) {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  resolver.setServers([options.dns])
  const records = await resolver.resolveTxt(name)
  return {
    Status: 0, TC: false, RD: false, RA: false, AD: false, CD: false,
    Question: [{ name, type: RecordType.TXT }],
    Answer: records.flat().map(data => ({ name, type: RecordType.TXT, TTL: 1, data }))
  }
}

async function dial (address) {
  const node = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false }, // loopback is where these relays live
    dns: dns({ resolvers: { '.': query } })
  })
  try {
    const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(DEADLINE) })
    return { address, peer: connection.remotePeer.toString(), error: '' }
  } catch (err) {
    return { address, peer: '', error: `${err.name}: ${err.message}` }
  } finally {
    await node.stop()
  }
}

for (const address of addresses) console.log(JSON.stringify(await dial(address)))
