// Package local is the embedded default: a provider whose machines are directories on
// this computer, each with a real SSH server and a real relay process.
//
// A supervisor process plays the data centre. It is started by the first call that
// changes something, outlives the command, serves SSH for every box, starts and stops
// their relays, and slows their traffic where a delay was asked for. [Provider] talks
// to it over a Unix socket, and reads the boxes from disk where it does not live.
//
// Like a data centre and unlike systemd, the supervisor does not restart a relay that
// died. Relays run in sessions of their own: they survive a killed supervisor, and the
// next one adopts them by process ID with start time, and by the lock on their state.
//
// What a box is made of, its service and its table of commands, is package boxsim's.
//
// Below the fleet's directory:
//
//	boxes/<id>/machine.json   what the provider lists, and the marks
//	boxes/<id>/host_key       the box's SSH identity
//	boxes/<id>/unit.json      relay.service: enabled, process, last result
//	boxes/<id>/relay.log      its journal
//	boxes/<id>/root/          "/" of the box; nothing outside it can be reached over SSH
//	authorized_keys           who may log in
//	supervisor.{json,lock,log}, start.lock
package local
