// Package web serves a fleet to a browser and to programs: one page that follows the
// fleet, the same as JSON, as series for Prometheus, and a way to each relay's own series.
//
// It shows what a [Source] knows and asks nobody else. What is not known is a nil pointer,
// and is said so everywhere: "unknown" on the page, null in JSON, no series at all for
// Prometheus; never 0, and never fine.
//
// It only reads. Every request must name a host that we go by, must come from no other
// origin, and where a token is set must carry it. Nothing on the page comes from another
// host and no script or style stands in it, which its policy makes browsers hold to. It is
// whole without JavaScript; with it, what changed is sent as it changes.
package web
