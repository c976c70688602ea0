// Package cftest is a simulated Cloudflare DNS: an HTTP server with state that speaks the
// API as the official clients expect, keeps the documented limits, and fails on demand;
// and the name servers that answer with what it stores, each in its own time.
//
// A [Cloud] has zones and tokens. Records are as they are there: TXT contents stay as
// they were posted, quoted or not; a batch is one transaction of deletes, patches, puts
// and posts; quotas and lengths are those of the zone's plan. What a write changed reaches
// the name servers record by record ([Cloud.Delay], [Cloud.Hold]), as at the edge, where a
// batch is not one change. [Cloud.ServeDNS] puts real servers on loopback in front of it.
//
// Every request and every answer is held against Cloudflare's published description, and
// against what it leaves out; [Cloud.Violations] names what did not conform. What is
// published nowhere (the code of a limit, the status inside a batch) is a choice of this
// package, and the comment there says so.
//
// [Cloud.Fail] and [Cloud.Around] break it: at any request, before or after its effect.
package cftest
