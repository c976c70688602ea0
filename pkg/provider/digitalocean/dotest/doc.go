// Package dotest is a simulated DigitalOcean: an HTTP server with state that speaks the
// API as the official clients expect, keeps the documented limits, and fails on demand.
//
// A [Cloud] has accounts, one for each token. Its droplets are as machines are there:
// a create is answered before the droplet is up, tags may come after the droplet,
// addresses are used again, a delete takes its time, names are not unique. How long each
// takes is counted in reads ([Lag]), so that tests neither sleep nor guess. [Boxes] puts
// something behind the droplets: without it they are only listed.
//
// Every request and every answer is held against DigitalOcean's published description,
// and against the limits that are only in its text; [Cloud.Violations] names what did not
// conform. What is published nowhere (the words of a message, whether a refused request
// counts) is a choice of this package, and the comment there says so.
//
// [Cloud.Fail] and [Cloud.Around] break it: at any request, before or after its effect.
package dotest
