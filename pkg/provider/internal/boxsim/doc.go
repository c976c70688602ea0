// Package boxsim is what simulated boxes are made of: a service with systemd's states
// around a real process, its journal, and a fixed table of commands, one Go function
// each, confined to the directory that is the box's "/".
//
// The local provider's boxes and the droplets of the simulated cloud are built from it.
// They differ in their tables, in what starts their relay, and in whether one that died
// is started again: see [Policy].
//
// Below a box's directory:
//
//	unit.json   relay.service: enabled, process, last result
//	relay.log   its journal
//	root/       "/" of the box
package boxsim
