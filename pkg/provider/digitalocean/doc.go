// Package digitalocean makes the machines of a fleet at DigitalOcean.
//
// # Marks
//
// There is no state file: what a droplet is to a fleet stands in its tags, beside those
// of the operator.
//
//	fleet:NAME      whose it is; nothing is done to a droplet without it
//	fleetid:ID      which of two fleets of that name
//	slot:NODE       the node that it is
//	op:ULID         the operation that ordered it, in lower case
//	phase:PHASE     how far it is on its way out
//	hostkey:HEX     its Ed25519 SSH host key, 64 hex digits; two while a key is changed
//	adopted:yes     made by others and not taken over
//	state:DIR       its relay's state is in /var/lib/DIR
//	cached:SECONDS  until when resolvers may keep records of before dns.ttl was lowered, or the last was withdrawn
//
// Tags belong to the whole account, and an account may have several fleets. A tag that is
// one droplet's alone (op, hostkey) goes with the droplet: before a delete, a tag
// fleet:NAME:gone:… notes them, and whoever finds the note finishes. Of a droplet that
// somebody else deleted the operation goes with a fleet's last machine, once it is older than
// a day, and the host key stays. One that several may carry (slot, phase, adopted, state,
// cached) goes only while it is on nothing.
//
// # Money
//
// A request that buys is sent again only after an answer that refused it before it was
// looked at (429). After a 5xx, a reset or silence the account is searched for what the
// request may have made, by operation and by name; see [Provider.Create].
//
// # Requests
//
// All requests of a [Provider] share one pace, 4 a second after a burst of 40 that counts against the minute, and stop
// before the token's hourly budget ends, which is [fleet.ErrQuota]. Reads that are under
// way at the same time are made once.
package digitalocean
