package inside

// Who is behind a filter of system calls.
type Who int

// Those for whom there is a filter.
const (
	Command        Who = iota
	OfflineCommand     // without network, where a namespace could not be had for that
	Worker
	OfflineWorker // it gets its connections from others and makes none
	LocalWorker   // the same, where what it starts needs local sockets
)
