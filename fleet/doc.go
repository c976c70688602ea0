// Package fleet decides what a fleet of relays needs and does it, in an order in which
// no client is left without a relay. It knows machines, boxes, records and probes as
// interfaces only: which provider or DNS host stands behind them, it cannot tell.
//
// # Observe
//
// [Observe] reads the provider's machines, every box, the TXT records at the fleet's
// name, and probes each address that is published or ought to be, all at once and each
// under its own deadline. What was found is a [State]. A reading that failed is an
// [Observed] with an error, and stays one: unknown is not absent, and nothing is taken
// away on the strength of it.
//
// # Plan
//
// [Diff] compares a [Spec], what fleet.yaml asks for, with a State. It is pure: equal
// inputs give equal bytes. A [Plan] is data: stages of changes, each with its reason;
// what is deferred, and what it waits for; what is kept on purpose, and why. It can be
// printed, saved ([EncodePlan]) and compared. The stages are always
//
//	provision → configure → publish → withdraw → retire
//
// from which it follows that a relay is replaced before it goes: its successor is made,
// set up, published and seen to serve; then the old record goes; and only when no
// resolver keeps that record any more, and clients had time to move, the machine does.
//
// An operator approves one plan, and a run needs several, since a peer ID that does not
// exist yet cannot be planned with. [Plan.Covers] says whether a later plan does only
// what the approved one showed or deferred.
//
// # Guard
//
// [Guard] is pure, too, and the one place that says no. It trusts nothing that a plan
// says of itself and checks each change against the State: no step may lower the number
// of verified published relays below dns.min_relays, and none may be the last record; no
// record and no machine of somebody else is touched; no machine ends while its relay is
// or may be published; no slot is filled while an unlisted relay answers at a published
// address, because a wrong token looks like that. Only down lifts the floor, and nothing
// else. A relay is verified if a probe found it serving, or full, no longer ago than
// rollout.probe_max_age; what it says of itself does not count.
//
// # Apply
//
// [Apply] asks Guard, makes the changes stage by stage, and observes and asks again
// before whatever withdraws, restarts or deletes. [Converge] is the loop around it:
// observe, plan, apply, until nothing is left to do, nothing can be done, or more would
// be needed than was approved, which is [ErrStalePlan].
//
// # Intent is state
//
// There is no state file. What a run has decided stands where every later run reads it:
// the first write of a replacement marks the old machine outgoing ([Phase]), and Diff
// gives a marked machine no slot. So whatever was killed anywhere is finished by a plain
// up, which observes and plans anew. An [Intent] is what the operator asks of one run
// beside the spec; a replacement outlives the run by its mark, the rest does not.
//
// # What a provider must promise
//
// A [Provider] lists only machines that carry the fleet's name, all of them, or it
// returns an error: an empty list means that there are none. Its methods are idempotent:
// a second Create for one operation returns the machine of the first, deleting what is
// gone succeeds, and marks survive whatever the machine does. IDs are never used again.
// Create and Start return when SSH answers with the marked host key, Delete when the
// machine is gone. All methods are safe for concurrent use. Package providertest is this
// paragraph as a test suite, and package fleettest a provider in memory that passes it.
package fleet
