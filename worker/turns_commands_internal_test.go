package worker

import (
	"os"
	"path/filepath"

	"hermes/worker/llm/llmtest"
	"hermes/worker/store"
)

// commandStories are about what runs in a shell.
func commandStories() []story {
	return []story{
		{
			name: "denied", about: "The policy denies two commands. The model is told which setting would allow them, if one does, and the decisions are kept.",
			answers: []llmtest.Reply{
				use("terminal", `{"command":"echo bye && shutdown -h now"}`), use("terminal", `{"command":"crontab plan.txt"}`),
				llmtest.Text("I may neither turn this machine off nor plan it."),
			},
			play: func(s *scene) { s.say("Turn it off, now or tonight.") },
		},
		{
			name: "job", about: "A command in the background: begun, polled while it runs, waited for.",
			answers: []llmtest.Reply{
				use("terminal", `{"command":"until [ -e go ]; do sleep 0.02; done; echo built","background":true}`),
				use("process", `{"action":"poll","session_id":"job_"}`),
				use("write_file", `{"path":"go","content":""}`),
				use("process", `{"action":"wait","session_id":"job_"}`),
				use("process", `{"action":"list"}`),
				llmtest.Text("It is built."),
			},
			play: func(s *scene) { s.say("Build it in the background.") },
		},
		{
			name: "client-leaves", about: "The client goes away while a command runs. The command is ended, and what the turn did is kept.",
			answers: []llmtest.Reply{use("terminal", `{"command":"touch begun; sleep 600"}`)},
			play:    func(s *scene) { s.leave("Wait for me.") },
		},
	}
}

// leave sends a message and goes away while the command of its answer runs.
func (s *scene) leave(text string) {
	s.t.Helper()
	s.journal.section("the client asks, for a stream of chat completions")
	s.journal.lines("user: " + text)
	s.chat = append(s.chat, message(text))
	stream := s.post(nil)
	s.eventually("the command runs", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "workspace", "begun"))
		return err == nil
	})
	s.journal.mu.Lock() // the upstream has written before, and only the file says so
	s.journal.section("the client leaves while the command runs")
	s.journal.mu.Unlock()
	if err := stream.Close(); err != nil {
		s.t.Error(err)
	}
	s.eventually("the run ended", func() bool {
		sessions, err := s.worker.store.Sessions(s.t.Context(), 1)
		if err != nil || len(sessions) != 1 {
			return false
		}
		runs, err := s.worker.store.Runs(s.t.Context(), sessions[0].ID)
		return err == nil && len(runs) == 1 && runs[0].Status != store.StatusRunning
	})
}
