package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hermes/worker/store"
)

// oldRows is what a worker of version 5 left behind: a chat with a tool, a turn
// that a crash has cut, a conversation of two responses, a chat's turn, a job, and
// an answer to a request that may be repeated.
const oldRows = `
	INSERT INTO sessions VALUES ('s', 'chat', 1, 9), ('c', 'responses', 2, 8);
	INSERT INTO runs (id, session_id, source, request_id, model, status, input_tokens, began_at, ended_at) VALUES
		('done', 's', 'chat', 'q', 'm', 'done', 7, 1, 2), ('r1', 'c', 'responses', '', 'm', 'done', 0, 2, 3), ('r2', 'c', 'responses', '', 'm', 'done', 0, 3, 4);
	INSERT INTO runs (id, session_id, source, request_id, model, status, owner, began_at) VALUES ('cut', 's', 'chat', '', 'm', 'running', 'gone', 5);
	INSERT INTO messages (id, session_id, run_id, role, tool_call_id, text, body, created_at) VALUES
		(1, 's', 'done', 'user', '', '', CAST('{"parts":[{"text":"Where is "},{"text":"Timbuktu?"}]}' AS BLOB), 1),
		(2, 's', 'done', 'assistant', '', '', CAST('{"tool_calls":[{"id":"call"}]}' AS BLOB), 1),
		(3, 's', 'done', 'tool', 'call', 'in Mali', NULL, 1),
		(4, 's', 'done', 'assistant', '', '', CAST('{"parts":[{"text":"In Mali."}]}' AS BLOB), 2),
		(5, 's', 'cut', 'user', '', '', CAST('{"parts":[{"text":"and Bern?"}]}' AS BLOB), 5),
		(6, 's', 'cut', 'assistant', '', '', CAST('{"tool_calls":[{"id":"open"}]}' AS BLOB), 5);
	INSERT INTO tool_calls VALUES ('done', 'call', 2, 0, 'web_search', '{}', 'done', 3, 1, 1), ('cut', 'open', 6, 0, 'terminal', '{}', 'running', NULL, 5, 0);
	INSERT INTO turns VALUES (1, NULL, CAST('[1]' AS BLOB)), (2, 1, CAST('[2]' AS BLOB));
	INSERT INTO responses VALUES
		(1, 'resp_1', '', 'garden', 1, 'r1', 'completed', 0, '', 1, 2), (2, 'resp_2', 'resp_1', 'garden', 2, 'r2', 'completed', 0, '', 2, 3);
	INSERT INTO response_bodies VALUES (1, 'be kind', CAST('{"n":1}' AS BLOB), CAST('[]' AS BLOB), x'01'), (2, '', CAST('{"n":2}' AS BLOB), CAST('[]' AS BLOB), x'02');
	INSERT INTO conversations VALUES ('garden', 'resp_2', 2);
	INSERT INTO chat_turns (id, hash, size, used, session_id) VALUES (1, x'aa', 3, 1, 's');
	INSERT INTO chat_turn_messages VALUES (1, CAST('[3]' AS BLOB));
	INSERT INTO jobs VALUES ('job', 's', 'done', 'make', '/', 0, 'running', '', 3, 1, '', 'gone', 4, 0, 'ok'), ('old', 's', 'done', 'ls', '/', 0, 'ended', 'exit code 0', 3, 1, '', '', 4, 5, 'x');
	INSERT INTO idempotency (scope, key, body_hash, run_id, response_id, owner, running, status, content_type, body, expires_at)
		VALUES ('chat', 'k', x'01', 'done', '', '', 0, 200, 'application/json', CAST('{}' AS BLOB), 4000000000000000);`

// databaseOfVersion makes a database as a worker of that version left it.
func databaseOfVersion(t *testing.T, number int, rows string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	files, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	db := raw(t, path)
	for _, file := range files[:number] {
		text, err := os.ReadFile(file)
		must(t, err)
		_, err = db.ExecContext(t.Context(), string(text))
		must(t, err)
	}
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d;", number)+rows)
	must(t, err)
	must(t, db.Close())
	return path
}

// All that a database of version 5 holds is there when this version opens it, and
// can be worked with.
func TestMigrationFromVersionFive(t *testing.T) {
	t.Parallel()
	path := databaseOfVersion(t, 5, oldRows)
	s := reopen(t, path, store.Options{Recover: true})
	ctx := t.Context()

	want := []string{
		`user {"parts":[{"text":"Where is "},{"text":"Timbuktu?"}]}`, `assistant {"tool_calls":[{"id":"call"}]}`, "tool call=in Mali",
		`assistant {"parts":[{"text":"In Mali."}]}`, `user {"parts":[{"text":"and Bern?"}]}`, `assistant {"tool_calls":[{"id":"open"}]}`, "tool open=" + store.Interrupted,
	}
	if got := transcript(t, s, "s"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the transcript is %q", got)
	}
	if run, err := s.Run(ctx, "done"); err != nil || run.Status != store.StatusDone || run.Input != 7 || run.AwaitingUser {
		t.Errorf("the run that was done is %+v (%v)", run, err)
	}
	if run, err := s.Run(ctx, "cut"); err != nil || run.Status != store.StatusInterrupted {
		t.Errorf("the run that was cut is %+v (%v)", run, err)
	}
	if calls, err := s.ToolCalls(ctx, "done"); err != nil || len(calls) != 1 || calls[0].Name != "web_search" || calls[0].Result != "in Mali" {
		t.Errorf("the calls are %+v (%v)", calls, err)
	}
	if list, err := s.Summaries(ctx, store.Latest{Limit: 10}); err != nil || len(list) != 2 || list[0].Title != "Where is Timbuktu?" {
		t.Errorf("the sessions are %+v (%v)", list, err)
	}
	if got, want := found(t, s, store.Search{Text: "timbuktu"}), `s: user "Where is «Timbuktu»?"`; got != want {
		t.Errorf("a search finds %s, want %s", got, want)
	}
	if names, err := s.ConversationNames(ctx); err != nil || names["c"] != "garden" {
		t.Errorf("the names are %v (%v)", names, err)
	}
	if got := head(t, s, "garden"); got != "resp_2" {
		t.Errorf("the conversation goes on from %q", got)
	}
	if got := history(t, s, "resp_2"); got != "[1] [2]" {
		t.Errorf("its history is %q", got)
	}
	if r, err := s.Response(ctx, "resp_1"); err != nil || r.Instructions != "be kind" || string(r.Body) != `{"n":1}` || len(r.Outline) != 1 {
		t.Errorf("the first response is %+v (%v)", r, err)
	}
	if turns, err := s.ChatTurns(ctx, [][]byte{{0xaa}}); err != nil || turns[0] == nil || turns[0].SessionID != "s" || string(turns[0].Messages) != "[3]" {
		t.Errorf("the chat's turn is %+v (%v)", turns, err)
	}
	for id, status := range map[string]string{"job": store.JobLost, "old": store.JobEnded} {
		if job, err := s.Job(ctx, id); err != nil || job.Status != status {
			t.Errorf("job %s is %+v (%v)", id, job, err)
		}
	}
	if answer, err := s.Idempotency(ctx, "chat", "k"); err != nil || answer.Status != 200 || string(answer.Body) != "{}" {
		t.Errorf("the kept answer is %+v (%v)", answer, err)
	}

	next := say("resp_3", "resp_2", "garden")
	put(t, s, next, store.Put{Head: true})
	begin(t, s, "s", "new")
	must(t, s.AddDecision(ctx, store.Decision{Command: "ls"}))
	if got := head(t, s, "garden"); got != "resp_3" {
		t.Errorf("the conversation went on to %q", got)
	}
	if health := s.Health(ctx); health.Err != nil || len(health.Damaged) > 0 {
		t.Errorf("health is %+v", health)
	}
}
