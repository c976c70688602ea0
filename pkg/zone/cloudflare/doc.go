// Package cloudflare keeps the records of a fleet in a zone at Cloudflare.
//
// # Writes
//
// A batch of the API is one transaction, but its deletes come first and its records reach
// the edge one by one. So whatever is added or changed goes out in batches of its own, is
// read back, first from the API and then from the zone's name servers, and only then are
// batches sent that delete. A value therefore never leaves a name before its successor is
// there, in the zone and at each name server that says anything.
//
// A batch is never sent again by itself. After an answer that leaves open whether it was
// carried out (a 5xx, a reset, silence), or that tells of another writer, the zone is
// listed again and what is still to do is worked out anew, once. Only a 429, which refuses
// a request before it is looked at, and a connection that was never made are tried again
// at once.
//
// # What is not ours
//
// Nothing is deleted or changed that was not listed right before: under the ID of the
// change, at a name of the fleet, with the text of the change and, for a delete, its
// comment. A record that somebody edited since the plan is [dnsaddr.ErrEdited].
//
// # Texts
//
// TXT contents are written quoted, and compared as what they say: the API gives back the
// form in which somebody once wrote them ([dnsaddr.DecodeTXT]).
//
// # Requests
//
// All requests of a [Zone] share one pace, 4 a second after a burst of 40. They stop
// before the account's rate ends, because the API then refuses every request for five
// minutes, those of other programs too.
package cloudflare
