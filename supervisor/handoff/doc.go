// Package handoff is the contract between the supervisor and the workers that
// it starts: command line, environment, descriptors, messages and exit codes.
// Both sides import it, and it imports neither.
//
// A worker is the supervisor's own binary, started as
//
//	exe worker
//
// with the variables of Environ, /dev/null as stdin, a pipe into the log as
// stdout and stderr, / as its working directory, and ControlFD. It belongs to no
// profile yet, and leaves when that socket ends. Over the control socket run JSON
// messages, one a line. The parent speaks first:
//
//	start     everything that the child needs to know, a Start, with its Belongings
//	settings  the part of it that can change while the child serves, a Live
//	drain     take no new requests, finish what runs within a limit, leave
//	stop      leave at once
//
// and the child answers:
//
//	ready     requests are being served
//	applied   the settings of that revision are in effect
//	closed    no connection is accepted any more
//	busy      how much work runs, whenever the number has changed
//	beat      every BeatEvery, from the child's own loop
//
// End of file on the control socket means to a child that its parent is gone. It
// serves on for Start.OrphanGrace and listens for another parent:
//
//	hello     from the child: which worker it is
//	claim     to it: the other side knows the profile's nonce
//	report    from it: what it was told and how it stands, with lock and listener
//	adopt     to it, with a log; the connection is its control socket from then on
//
// If nobody comes, that counts as a drain. To a parent it means nothing: a child is gone when
// it has been waited for.
package handoff
