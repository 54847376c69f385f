// Package egress is the process that holds the keys of providers and opens all
// connections to the outside on behalf of workers: one for each gateway, started and
// watched by its supervisor, as
//
//	exe egress
//
// with nothing in its environment but what a worker has, and one descriptor,
// ControlFD. Over it comes what each worker may reach (a Table) and the far end of
// the worker's socket (see package wire). It reads no file, writes none, and of what
// a model chose it parses nothing but HTTP heads, hosts and the nesting of JSON.
//
// Its ways out are three. Requests to upstreams that the supervisor has named go
// where the Table says, with the key that stands there, whatever the worker
// sends along. Connections for pages and for commands' proxies are tunnels to hosts
// whose addresses are checked where they are dialled. Each of them leaves a line in
// the audit, which is this process's standard output.
//
// A process that is replaced receives nothing more, finishes what it has, and
// leaves. When its supervisor is killed, it goes on until the last worker is gone.
package egress
