// Package relay is the daemon as a library: a libp2p host that serves Circuit Relay
// v2, Kademlia, identify, ping and AutoNAT, counts who uses it, and answers on a
// loopback HTTP API.
//
// [New] takes the state directory: it locks it, loads or creates the identity and
// reads the census. [Relay.Run] serves until its context ends, then drains: no new
// reservation, a bounded grace for open circuits, a last census, and nil. What a
// relay cannot see it reports as null, never as zero.
//
// Everything that a stranger can write (the configuration, node.key, the census,
// the list of fleet peers, agent strings) is bounded and checked where it is read;
// a damaged file is set aside under a name that says so and never overwritten. What can
// still be read of it is used.
package relay
