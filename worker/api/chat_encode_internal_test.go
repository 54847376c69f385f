package api

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
	"hermes/worker/tools"
)

func TestTextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, inner string
		limit, want int
	}{
		{"plain", "abcdef", 4, 4},
		{"in two bytes", "abcüdef", 4, 3},
		{"in four bytes", "a💻bcd", 4, 1},
		{"behind four bytes", "💻bcd", 4, 4},
		{"at an escape", `abc\ndef`, 4, 3},
		{"behind an escape", `ab\ndef`, 4, 4},
		{"at a backslash", `ab\\\\def`, 5, 4},
		{"at a long escape", `a\u00e4bcdefghi`, 5, 1},
		{"behind a long escape", `a\u00e4bcdefghi`, 7, 7},
		{"in a pair", `\ud83d\udcbbabcdef`, 8, 0},
		{"behind a pair", `\ud83d\udcbbabcdef`, 12, 12},
		{"behind a pair in capitals", `x\uD83D\uDCBBabcdef`, 12, 1},
		{"half a pair alone", `\ud83dabcdefghij`, 8, 8},
		{"not UTF-8", "ab\xff\xfe\xfdcd", 4, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := cut([]byte(test.inner), test.limit); got != test.want {
				t.Errorf("cut at %d, want %d", got, test.want)
			}
		})
	}
}

func TestCutPiecesAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'ü', '💻', '"', '\\', '\n', '\x01', '\u2028', '<'}), 1, 200, -1).Draw(t, "text")
		literal := encode(text, rapid.Bool().Draw(t, "escaped"))
		limit := rapid.IntRange(12, 40).Draw(t, "limit")
		var joined strings.Builder
		for inner := inside(literal); len(inner) > 0; {
			n := len(inner)
			if n > limit {
				n = cut(inner, limit)
			}
			if n == 0 || n > limit {
				t.Fatalf("a piece of %d bytes", n)
			}
			var piece string
			if err := json.Unmarshal([]byte(`"`+string(inner[:n])+`"`), &piece); err != nil {
				t.Fatalf("piece %q: %v", inner[:n], err)
			}
			joined.WriteString(piece)
			inner = inner[n:]
		}
		if joined.String() != text {
			t.Fatalf("%q became %q", text, joined.String())
		}
	})
}

// encode makes a JSON string literal as one of two kinds of servers would: with
// everything beyond ASCII escaped, or with as little as possible.
func encode(text string, escaped bool) []byte {
	plain := appendQuoted(nil, text)
	if !escaped {
		return plain
	}
	var b []byte
	for _, r := range string(plain) {
		if r < 0x80 {
			b = append(b, byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
		}
	}
	return b
}

// TestAnyTurnIsALegalStream runs turns of any legal order of events through the
// encoder.
func TestAnyTurnIsALegalStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		opts := chatOptions{
			id: "chatcmpl-1", created: 1_700_000_000, model: rapid.StringN(1, 20, -1).Draw(t, "model"),
			progress: progress{rapid.Bool().Draw(t, "inline"), rapid.Bool().Draw(t, "events")},
			usage:    rapid.Bool().Draw(t, "usage"),
			whole:    rapid.Bool().Draw(t, "whole"),
		}
		e := newChatEncoder(opts)
		var out strings.Builder
		out.Write(e.begin())

		// A turn is one message of the model after the other, with tools between.
		word := rapid.StringOfN(rapid.RuneFrom([]rune("aü💻\"\\\n`<\x02 ")), 0, 8, -1)
		var messages []string
		var markers []string
		var held []string // of messages, when they are sent at the end
		plain := ""       // what the content must be
		calls := 0
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			message := ""
			for range rapid.IntRange(0, 3).Draw(t, "pieces") {
				piece := word.Draw(t, "piece")
				if rapid.Bool().Draw(t, "reasoning") {
					chunks, _ := e.event(agent.Reasoning{JSON: encode(piece, rapid.Bool().Draw(t, "escaped"))})
					out.Write(chunks)
					continue
				}
				if message == "" && piece != "" && !opts.whole {
					switch {
					case plain == "":
					case len(markers) > 0 && strings.HasSuffix(plain, markers[len(markers)-1]):
						plain += "\n"
					case len(messages) > 0:
						plain += "\n\n"
					}
				}
				message += piece
				if !opts.whole {
					plain += piece
				}
				chunks, _ := e.event(agent.Text{JSON: encode(piece, rapid.Bool().Draw(t, "escaped"))})
				out.Write(chunks)
			}
			if message != "" {
				messages = append(messages, message)
				held = append(held, message)
			}
			var open []llm.ToolCall
			for range rapid.IntRange(1, 3).Draw(t, "tools") {
				calls++
				call := llm.ToolCall{ID: "c" + strings.Repeat("x", calls), Name: word.Draw(t, "tool")}
				label := word.Draw(t, "label")
				chunks, _ := e.event(agent.ToolStarted{Call: call, Emoji: "💻", Label: label})
				out.Write(chunks)
				open = append(open, call)
				if opts.progress.inline {
					line := "\n" + marker("💻", label) + "\n"
					if !opts.whole && plain != "" && (len(markers) == 0 || !strings.HasSuffix(plain, markers[len(markers)-1])) {
						line = "\n" + line
					}
					markers = append(markers, line)
					plain += line
				}
			}
			for len(open) > 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				chunks, _ := e.event(agent.ToolFinished{Call: open[i], Emoji: "💻", Failed: rapid.Bool().Draw(t, "failed")})
				out.Write(chunks)
				open = append(open[:i], open[i+1:]...)
				if len(open) > 0 && rapid.Bool().Draw(t, "broken off") {
					break
				}
			}
		}
		if opts.whole && len(held) > 0 {
			if plain != "" {
				plain += "\n"
			}
			plain += strings.Join(held, "\n\n")
		}
		if rapid.Bool().Draw(t, "fails") {
			out.Write(e.fail(openai.Error{Message: "no", Type: "t"}))
		} else {
			out.Write(e.end(agent.Result{Finish: llm.FinishStop, Usage: llm.Usage{Input: 1, Output: 2}}))
		}
		checkLegal(t, opts, out.String(), plain)
	})
}

// checkLegal is the short form of the check that the transcripts go through.
func checkLegal(t *rapid.T, opts chatOptions, body, content string) {
	events := strings.Split(body, "\n\n")
	if n := len(events); events[n-1] != "" || events[n-2] != "data: [DONE]" {
		t.Fatalf("no [DONE] at the end:\n%s", body)
	}
	events = events[:len(events)-2]
	got, finishes, running := "", 0, false
	for i, event := range events {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("no data line: %q", event)
		}
		var c struct {
			openai.Chunk
			Event *uiEvent `json:"event"`
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("no chunk: %v: %s", err, data)
		}
		if c.Error != nil {
			if i != len(events)-1 {
				t.Fatalf("the error is not the last: %s", body)
			}
			finishes++
			continue
		}
		if c.ID != opts.id || int64(c.Created) != opts.created || c.Object != openai.ObjectChunk || len(c.Choices) != 1 && c.Usage == nil {
			t.Fatalf("bad chunk: %s", data)
		}
		if c.Event != nil {
			running = !c.Event.Data.Done
		}
		if len(c.Choices) == 0 {
			if !opts.usage || i != len(events)-1 {
				t.Fatalf("usage is out of place: %s", data)
			}
			continue
		}
		if (i == 0) != (c.Choices[0].Delta.Role == "assistant") || finishes > 0 {
			t.Fatalf("role or order is wrong: %s", data)
		}
		if c.Choices[0].FinishReason != "" {
			finishes++
		}
		got += c.Choices[0].Delta.Content.Text
	}
	if finishes != 1 || running {
		t.Fatalf("%d ends, a tool still runs: %v\n%s", finishes, running, body)
	}
	if got != content {
		t.Fatalf("content is %q, want %q\n%s", got, content, body)
	}
}

func TestWhatPeopleWereShownIsTakenOut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "Hello.\n\n- a\n", "Hello.\n\n- a\n"},
		{"empty", "", ""},
		{"one marker", "\n`💻 pwd`\n\nYou are in /x.", "You are in /x."},
		{"as Open WebUI sends it back", "`💻 pwd`\n\nYou are in /x.", "You are in /x."},
		{"between text", "Let me look.\n\n`💻 pwd`\n\nYou are in /x.", "Let me look.\n\nYou are in /x."},
		{"two in a row", "Let me look.\n\n`💻 pwd`\n\n`📖 a.txt`\n\nDone.", "Let me look.\n\nDone."},
		{"with a variation selector", "`✏️ a.txt`\nDone.", "Done."},
		{"Windows line ends", "`💻 pwd`\r\nDone.", "Done."},
		{"only markers", "\n`💻 pwd`\n\n`💻 ls`\n", ""},
		{"emoji in the middle of a line", "I ran `💻 pwd` for you.", "I ran `💻 pwd` for you."},
		{"code without an emoji", "Run:\n`pwd`\nand see.", "Run:\n`pwd`\nand see."},
		{"two codes in a line", "`💻 a` `b`", "`💻 a` `b`"},
		{"inside a fence", "```\n`💻 pwd`\n```", "```\n`💻 pwd`\n```"},
		{"behind a fence", "```\nx\n```\n`💻 pwd`\nDone.", "```\nx\n```\nDone."},
		{"reasoning block", "<details type=\"reasoning\" done=\"true\" duration=\"3\">\n<summary>Thought for 3 seconds</summary>\n> hm\n</details>\nHello", "Hello"},
		{"two blocks", "<details type=\"tool_calls\" id=\"x\">\n</details>\nA\n<details type=\"reasoning\">x</details>B", "A\nB"},
		{"the model's own details", "<details>\n<summary>More</summary>x</details>", "<details>\n<summary>More</summary>x</details>"},
		{"open details", "<details type=\"reasoning\">x", "<details type=\"reasoning\">x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := stripShown(test.in); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestMarkersAreFoundAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		emoji := rapid.SampledFrom([]string{"💻", "✏️", "📖", "🔍", "⚙️", "👨‍👩‍👧‍👦"}).Draw(t, "emoji")
		line := marker(emoji, rapid.String().Draw(t, "label"))
		if strings.ContainsAny(line, "\n\r") || strings.Count(line, "`") != 2 {
			t.Fatalf("marker is %q", line)
		}
		if got := stripShown("a\n\n" + line + "\n\nb"); got != "a\n\nb" {
			t.Fatalf("%q left %q", line, got)
		}
	})
}

func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	if got := oneLine(strings.Repeat("ä\n", 1000)); len([]rune(got)) > maxLabel || strings.Contains(got, "\n") {
		t.Errorf("label is %q", got)
	}
}

func BenchmarkEncodeChunk(b *testing.B) {
	e := newChatEncoder(chatOptions{id: "chatcmpl-0123456789", created: 1_700_000_000, model: "gpt-5-mini"})
	e.begin()
	event := agent.Event(agent.Text{JSON: []byte(`" some words of an answer"`)})
	b.ReportAllocs()
	for b.Loop() {
		e.event(event)
	}
}

func TestEncodingAChunkAllocatesNothing(t *testing.T) {
	e := newChatEncoder(chatOptions{id: "chatcmpl-0123456789", created: 1_700_000_000, model: "gpt-5-mini"})
	e.begin()
	event := agent.Event(agent.Text{JSON: []byte(`" some words of an answer"`)})
	if allocs := testing.AllocsPerRun(100, func() { e.event(event) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// The tasks of an agent are an event of their own, beside that of the tool, and
// only where events are wanted.
func TestTasksAreShown(t *testing.T) {
	t.Parallel()
	finished := agent.ToolFinished{
		Call: llm.ToolCall{ID: "c", Name: "todo"}, Emoji: "📋", Label: "planning 1 task(s)",
		Tasks: []tools.Task{{ID: "1", Content: "a\nb \"</script>", Status: "pending", Parent: "0"}},
	}
	const want = `"event":{"type":"chat:message:tasks","data":{"tasks":[{"id":"1","content":"a b \"`
	for _, events := range []bool{true, false} {
		e := newChatEncoder(chatOptions{id: "chatcmpl-1", progress: progress{inline: true, events: events}})
		e.begin()
		got, _ := e.event(finished)
		if strings.Contains(string(got), want) != events || strings.Contains(string(got), "parent") {
			t.Errorf("events %v: %s", events, got)
		}
	}
}
