package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// waits is a tool that runs until it is told to stop.
func waits(ctx context.Context, _ llm.ToolCall) (tools.Result, error) {
	<-ctx.Done()
	return tools.Result{}, ctx.Err()
}

func TestCancelStopsTheTurn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		cause   error // nil is a plain cancel
		tools   map[string]toolFunc
		answers []llmtest.Answer
		want    []string
	}{
		{
			name:    "while the model is silent",
			answers: []llmtest.Answer{{Hang: true}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record end cancelled: turn cancelled: context canceled`,
			},
		},
		{
			name:    "while the model speaks",
			answers: []llmtest.Answer{{Text: []string{"Once upon"}, Hang: true}},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "Once upon"`,
				`record answer "Once upon"`,
				`record end cancelled: turn cancelled: context canceled`,
			},
		},
		{
			name:    "while a tool runs",
			tools:   map[string]toolFunc{"a": waits, "b": says("B")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"), call("c2", "b"))},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`record result c1 "cancelled by the user while it ran; its effects are unknown"`,
				`show result c1 "cancelled by the user while it ran; its effects are unknown"`,
				`record result c2 "cancelled by the user before it began"`,
				`record end cancelled: turn cancelled: context canceled`,
			},
		},
		{
			name:  "while a tool runs that says what it got done",
			cause: errors.New("the server is going down"),
			tools: map[string]toolFunc{
				"a": func(ctx context.Context, _ llm.ToolCall) (tools.Result, error) {
					<-ctx.Done()
					return tools.Failure("half of it"), nil
				},
				"b": says("B"),
			},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"), call("c2", "b"))},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`record result c1 "half of it"`,
				`show result c1 "half of it"`,
				`record result c2 "cancelled (the server is going down) before it began"`,
				`record end cancelled: turn cancelled: the server is going down`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(test.tools, test.answers...)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(test.cause) })
				began := time.Now()
				result, err := s.run(ctx)
				if took := time.Since(began); took != time.Second {
					t.Errorf("the turn ended after %v, want 1s", took)
				}
				if !errors.Is(err, context.Cause(ctx)) {
					t.Errorf("got %v, want the cause of the cancellation", err)
				}
				s.expect(t, test.want...)
				checkAnswered(t, result)
			})
		})
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	t.Parallel()
	s := newStage(nil, llmtest.Say("never"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancellation", err)
	}
	s.expect(t)
}

func TestAReaderThatLeavesStopsTheTurn(t *testing.T) {
	t.Parallel()
	gone := errors.New("client has gone")
	tests := []struct {
		name    string
		leaves  func(agent.Event) bool // at which event
		tools   map[string]toolFunc
		answers []llmtest.Answer
		want    []string
	}{
		{
			name:    "at the first word",
			leaves:  func(event agent.Event) bool { _, ok := event.(agent.Text); return ok },
			answers: []llmtest.Answer{llmtest.Say("Once", " upon")},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`show text "Once"`,
				`record answer "Once"`,
				`record end cancelled: client has gone`,
			},
		},
		{
			name:    "when a tool starts",
			leaves:  func(event agent.Event) bool { _, ok := event.(agent.ToolStarted); return ok },
			tools:   map[string]toolFunc{"a": says("A")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"))},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`record result c1 "cancelled by the user before it began"`,
				`record end cancelled: client has gone`,
			},
		},
		{
			name:    "when a tool has finished",
			leaves:  func(event agent.Event) bool { _, ok := event.(agent.ToolFinished); return ok },
			tools:   map[string]toolFunc{"a": says("A"), "b": says("B")},
			answers: []llmtest.Answer{llmtest.Use(call("c1", "a"), call("c2", "b")), llmtest.Say("never")},
			want: []string{
				`record begin "go"`,
				`ask "go"`,
				`record answer "" c1 c2`,
				`record start c1`,
				`show start c1 🔧 a {}`,
				`run a`,
				`record result c1 "A"`,
				`show result c1 "A"`,
				`record result c2 "cancelled by the user before it began"`,
				`record end cancelled: client has gone`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(test.tools, test.answers...)
			s.emit = func(event agent.Event) error {
				if test.leaves(event) {
					return gone
				}
				return nil
			}
			result, err := s.run(t.Context())
			if err != gone { //nolint:errorlint // it must come back as it is
				t.Errorf("got %v, want the reader's own error", err)
			}
			s.expect(t, test.want...)
			checkAnswered(t, result)
		})
	}
}

func TestAReaderThatLeavesStopsToolsBesideEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("client has gone")
		s := newStage(
			map[string]toolFunc{"read slow": waits, "read fast": says("fast")},
			llmtest.Use(call("c1", "read slow"), call("c2", "read fast")),
		)
		s.emit = func(event agent.Event) error {
			if _, ok := event.(agent.ToolFinished); ok {
				return gone
			}
			return nil
		}
		result, err := s.run(t.Context())
		if err != gone { //nolint:errorlint // it must come back as it is
			t.Errorf("got %v, want the reader's own error", err)
		}
		if got := result.Messages[1].Text(); got != "cancelled by the user while it ran; its effects are unknown" {
			t.Errorf("the slow tool's result is %q", got)
		}
		checkAnswered(t, result)
	})
}

func TestAPanicOfTheReaderEndsTheRecord(t *testing.T) {
	t.Parallel()
	s := newStage(map[string]toolFunc{"a": waits}, llmtest.Use(call("c1", "a")))
	s.emit = func(agent.Event) error { panic("abort") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.run(t.Context())
	}()
	s.expect(t,
		`record begin "go"`,
		`ask "go"`,
		`record answer "" c1`,
		`record start c1`,
		`show start c1 🔧 a {}`,
		`record end failed: the turn broke off`,
	)
}

func TestAPanicOfTheReaderLeavesNoToolBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cleanedUp := false
		s := newStage(map[string]toolFunc{
			"read fast": says("fast"),
			"read slow": func(ctx context.Context, _ llm.ToolCall) (tools.Result, error) {
				<-ctx.Done()
				time.Sleep(time.Second) // of synctest's clock
				cleanedUp = true
				return tools.Result{}, ctx.Err()
			},
		}, llmtest.Use(call("c1", "read fast"), call("c2", "read slow")))
		s.emit = func(event agent.Event) error {
			if _, ok := event.(agent.ToolFinished); ok {
				panic("abort")
			}
			return nil
		}
		func() {
			defer func() { recover() }()
			s.run(t.Context())
		}()
		if !cleanedUp {
			t.Error("a tool still ran when the turn was over")
		}
	})
}
