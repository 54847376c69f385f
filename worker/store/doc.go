// Package store keeps what a profile's agent did in one SQLite file. It is the
// only package that knows SQL. It imports nothing of hermes and hands out plain
// values; what a body means is its caller's business.
//
//   - Sessions, the runs in them, the messages of each run, and the tool calls
//     that its messages asked for (BeginRun to EndRun).
//   - Responses of the stateful API, the least recently used of which go, and
//     conversations by name (PutResponse, Response, Chain, ConversationHead). The
//     history of a response is kept whole for as long as the response is, whatever
//     becomes of those before it.
//   - The answers to requests that must not run twice (BeginIdempotent).
//   - What was decided about each command (AddDecision, ReadDecisions).
//   - What the turns of chats truly were whose clients show and send back less
//     (PutChatTurn).
//   - Background jobs, with the last of their output (PutJob).
//   - The system prompt that each session began with (PutSessionPrompt), and how
//     its transcript is made short for the model (PutCompaction).
//
// # What a crash loses
//
// Every method that writes is one transaction and returns once it is committed.
// Whatever was acknowledged survives the death of the process, always: a
// committed transaction lies in the kernel's page cache, and SQLite takes up its
// write-ahead log when the file is opened again.
//
// The death of the machine is another matter, because only an fsync outlives it,
// and an fsync costs more than the rest of a turn's commits together. So some
// methods wait for the disk (synchronous=FULL), and with them everything that was
// committed before, since the log is one file: StartTool, because the effects of
// a tool outlive the machine and the record of the call has to as well; and what
// a client is promised to find again, which is PutResponse of a response that has
// ended or runs in the background, DeleteResponse and FinishIdempotent. The other
// ones (synchronous=NORMAL) write down steps, and the end of turns whose client
// holds all that it will ever ask for; a power cut may take back the last of
// them, in order and never by halves.
//
// What a dead process left behind is settled by the next one: see
// Options.Recover.
//
// # What a bad disk does
//
// ErrFull: nothing was written, all that is stored can be read, and the next
// transaction tries again. ErrIO of a commit: nobody knows whether it was
// written. The Store then refuses everything until Reopen; better still, the
// process is started anew. A file that is damaged is moved aside and never
// removed, and an empty one begins in its place: see Health. It is looked for
// when the last user of the file did not close it, or met damage.
//
// # How the file is used
//
// Each Store has one connection, and each write transaction takes the write lock
// when it begins: a transaction that reads first and writes later would fail with
// "database is locked" at once, whatever its timeout. Two processes may have the
// file open, as they do while one generation of a worker replaces another; the
// one waits for the other's transaction. Commits never write to the main file
// (that is where their slowest percent came from); Checkpoint does, and its
// caller chooses a moment when nobody waits.
//
// Tables are STRICT, times are integers of microseconds since 1970.
package store
