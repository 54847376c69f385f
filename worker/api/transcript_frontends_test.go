package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

func TestBranchesOfAChatStayApart(t *testing.T) {
	t.Parallel()
	opts := fixed(nil)
	opts.Transcripts = newMemory()
	f := newFrontend(t, opts)
	f.send(t, says1("a"), worked(1))
	first := slices.Clone(f.messages)
	f.send(t, says1("b"), worked(2))
	f.messages = first
	f.send(t, says1("b"), worked(3)) // the same question again, with another answer
	f.send(t, says1("c"), answered("bye"))
	if got, want := roles(f.seen), truth1+" | "+strings.ReplaceAll(strings.ReplaceAll(truth2, "2", "3"), "x/2", "x/3")+" | user:c"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Of a turn without tools nothing is kept but its session, of one without a word
// nothing at all.
func TestPlainTurnsAreNotKept(t *testing.T) {
	t.Parallel()
	m := newMemory()
	opts := fixed(nil)
	opts.Transcripts = m
	f := newFrontend(t, opts)
	f.send(t, says1("a"), answered("hi"))
	silent := worked(1)
	silent.Messages[0].Parts, silent.Messages[2].Parts = nil, nil
	opts.ToolProgress = "off"
	f.send(t, says1("b"), silent)
	f.server.Settled()
	if len(m.turns) != 1 {
		t.Errorf("%d turns were kept", len(m.turns))
	}
	for _, turn := range m.turns {
		if len(turn.Messages) != 0 || turn.SessionID == "" {
			t.Errorf("kept is %+v", turn)
		}
	}
}

// TestHistoriesSurviveWhatFrontendsDoToThem plays chats with a client that keeps
// what it was shown in its own way.
func TestHistoriesSurviveWhatFrontendsDoToThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		opts := fixed(nil)
		opts.Transcripts = newMemory()
		opts.ToolProgress = rapid.SampledFrom([]string{"inline", "event", "both", "off"}).Draw(r, "progress")
		opts.Streaming = rapid.Bool().Draw(r, "streaming")
		f := newFrontend(r, opts)
		var want []string
		for n := range rapid.IntRange(1, 5).Draw(r, "turns") {
			question := fmt.Sprintf("question %d", n)
			f.stream = rapid.Bool().Draw(r, "stream")
			result := worked(n)
			for i := range result.Messages {
				if result.Messages[i].Role == llm.Assistant {
					words := rapid.SampledFrom([]string{"one word", "two\n\nlines ", "```\ncode `x`\n```", "a <b> & \"c\"", "💻 pwd", " \n"}).Draw(r, "words")
					result.Messages[i].Parts[0].Text = fmt.Sprintf("%s %d.%d", words, n, i)
				}
			}
			result.Message = result.Messages[2]
			f.send(t, says1(question), result)
			want = append(want, "user:"+question)
			if got := roles(f.seen); got != strings.Join(want, " | ") {
				r.Fatalf("turn %d got\n%q, want\n%q", n, got, strings.Join(want, " | "))
			}
			for _, message := range result.Messages {
				want = append(want, string(message.Role)+":"+message.Text())
			}
			last := &f.messages[len(f.messages)-1]
			shown := last.Content.String()
			switch rapid.IntRange(0, 3).Draw(r, "client") {
			case 0: // keeps it
			case 1:
				shown = strings.TrimSpace(shown)
			case 2:
				shown = "<details type=\"reasoning\" done=\"true\">\n<summary>Thought</summary>\n> hm\n</details>\n" + shown
			case 3:
				shown = strings.ReplaceAll(shown, "\n\n", "\n")
			}
			last.Content = openai.TextContent(shown)
		}
	})
}

// The turns of a chat belong to one session, whatever their clients send; a chat
// that begins with the same words is another one.
func TestTurnsOfAChatHaveOneSession(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"by its history": "X-Other: 1", "by the name of the frontend": "X-OpenWebUI-Chat-Id: c1"} {
		var heard listener
		opts := fixed(runs(heard.run))
		opts.Transcripts, opts.NewID, opts.ToolProgress = newMemory(), nil, "off"
		server := api.New(opts)
		sessions := map[string]string{}
		var first []string
		for _, opening := range []string{"a", "b"} {
			header := strings.Replace(header, "c1", "c"+opening, 1)
			messages := `{"role":"user","content":"hi"}`
			for turn := range 3 {
				n := len(heard.turns)
				call(t, server, "POST", "/v1/chat/completions", `{"messages":[`+messages+`]}`, header)
				server.Settled()
				id := heard.last().SessionID
				if turn == 0 {
					first = append(first, id)
					sessions[opening] = id
				}
				if id == "" || id != sessions[opening] {
					t.Errorf("%s: turn %d of %s is in session %q, the first was in %q", name, turn, opening, id, sessions[opening])
				}
				messages += fmt.Sprintf(`,{"role":"assistant","content":"answer %d"},{"role":"user","content":"on"}`, n+1)
			}
		}
		if first[0] == first[1] {
			t.Errorf("%s: two chats are in session %q", name, first[0])
		}
	}
}
