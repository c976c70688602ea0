// Package rfc2136 is a DNS zone at a primary server that takes dynamic updates (RFC 2136)
// signed with TSIG (RFC 8945): BIND, Knot DNS, PowerDNS, or one of them in front of NSD.
//
// Such a zone has no comments. What [dnsaddr.Record.Comment] says is kept beside each name
// of a fleet in a companion, a set of TXT records that no libp2p client reads: that of
// _dnsaddr.nyc1.p2p.example is _fleetctl.nyc1.p2p.example. One of its records is
//
//	fleetctl v=1 id=01JDB6… sha=8f434346648f6b96… c=fleetctl:demo/nyc1-1
//
// and says of the value with that SHA-256 whose it is. A value without a companion is
// foreign, one with several is several [dnsaddr.Record]s. The companion of the entry name
// also lists which other names the fleet has (fleetctl v=1 list=nyc1), so that they are
// found where the zone may not be transferred. Companions that cannot be read are left alone.
//
// The zone is read by a transfer (AXFR), or where the server refuses that, by queries that
// the server must answer with authority. Everything that is sent is signed, and an answer
// that is not signed with the same key is not believed.
//
// A write is a comparison first: each message demands that the sets of records that it
// changes are still exactly those that were read, values and companions both. If they are
// not, they are read and planned anew, once ([ErrConflict]). What is added and what is
// removed go in two messages, and before the second the server has answered with the
// first. A message that was not answered is not sent again before the zone was read again.
//
// The DNS has one TTL for all records of a name: the last one written counts, the
// smallest if several are written at once ([dnsaddr.Limits.OneTTL]).
package rfc2136
