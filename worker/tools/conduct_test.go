package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hermes/worker/web"
)

// deed is a call of one of the common cases, as a model sends it, and what comes of
// it: a part of the result, and whether that is a failure. Without arguments it says
// why the tool has no such case.
type deed struct {
	arguments string
	failed    bool
	want      string
}

// none says why a tool has no such case.
func none(why string) deed { return deed{want: why} }

// done and refused are calls that go well and that do not.
func done(arguments, want string) deed { return deed{arguments, false, want} }

func refused(arguments, want string) deed { return deed{arguments, true, want} }

// conduct is how one tool behaves where each has to behave. In the arguments SITE is
// the web that there is, JOB a job that runs, FLOOD one that has written much, and BINARY one that has written bytes.
type conduct struct {
	good    deed
	missing deed // a required field is not there
	wrong   deed // a field has the wrong type
	huge    deed // much is asked for, or given
	binary  deed // what it works on is no text
	link    deed // a symbolic link, or a redirect, leads out of where it may go
	slow    deed // it takes longer than it may
}

func (c conduct) deeds() map[string]deed {
	return map[string]deed{
		"good": c.good, "missing": c.missing, "wrong": c.wrong, "huge": c.huge, "binary": c.binary, "link": c.link, "slow": c.slow,
	}
}

// maxConduct is more than any result may have, in bytes.
const maxConduct = 110_000

// A tool that is new fails here until it has its row in conducts.
func TestConductOfEachTool(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	rows := conducts()
	for _, spec := range s.set.Specs() {
		row, found := rows[spec.Name]
		if !found {
			t.Errorf("%s has no row in conducts: say how it behaves", spec.Name)
			continue
		}
		delete(rows, spec.Name)
		for name, deed := range row.deeds() {
			switch {
			case deed.want == "":
				t.Errorf("%s: the case %s says nothing", spec.Name, name)
			case deed.arguments != "":
				s.check(t, spec.Name, name, deed)
			}
		}
		s.checkUnreadable(t, spec.Name)
		s.checkStopped(t, spec.Name, row.good)
	}
	for name := range rows {
		t.Errorf("there is no tool %s", name)
	}
	if after := tree(t, s.outside); after != s.before {
		t.Errorf("outside of where tools may go something has changed:\n%s", after)
	}
}

// check makes one call.
func (s *stage) check(t *testing.T, tool, name string, deed deed) {
	t.Helper()
	result := call(s.ctx, t, s.set, tool, s.names.Replace(deed.arguments))
	if result.Failed != deed.failed || !strings.Contains(result.Text, deed.want) {
		t.Errorf("%s, %s: failed %v, want %v and %q in\n%.2000s", tool, name, result.Failed, deed.failed, deed.want, result.Text)
	}
	if len(result.Text) > maxConduct || !utf8.ValidString(result.Text) || strings.ContainsRune(result.Text, 0) {
		t.Errorf("%s, %s: %d bytes, %.200q", tool, name, len(result.Text), result.Text)
	}
	if strings.Contains(result.Text, "the secret outside") {
		t.Errorf("%s, %s: it shows what lies outside", tool, name)
	}
}

// checkUnreadable sends what is no object: it is told, with what was sent, and
// nothing runs.
func (s *stage) checkUnreadable(t *testing.T, tool string) {
	t.Helper()
	for arguments, want := range map[string]string{
		`now, please`: "no JSON object", `["x"]`: "no JSON object", `7`: "no JSON object",
		`{"path":"made","command":"touch made","content":"x`: "cut off in the middle",
		`{"action":"list"}{"action":"list"}`:                 "more than one JSON object",
	} {
		result := call(s.ctx, t, s.set, tool, arguments)
		if !result.Failed || !strings.HasPrefix(result.Text, tool+" was not run: its arguments are ") ||
			!strings.Contains(result.Text, want) || !strings.HasSuffix(result.Text, "You sent: "+arguments) {
			t.Errorf("%s %s: %+v", tool, arguments, result)
		}
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "made")); err == nil {
		t.Errorf("%s ran with arguments that were cut off", tool)
	}
}

// checkStopped makes the good call in a turn that has been cancelled, and in one
// whose time is up: the turn ends with the reason for it.
func (s *stage) checkStopped(t *testing.T, tool string, good deed) {
	t.Helper()
	before := tree(t, filepath.Dir(s.dir))
	gone := errors.New("the client has gone")
	cancelled, cancel := context.WithCancelCause(s.ctx)
	cancel(gone)
	late, cancelLate := context.WithDeadline(s.ctx, time.Now().Add(-time.Second))
	defer cancelLate()
	for _, stopped := range []struct {
		ctx  context.Context //nolint:containedctx // of one call
		want error
	}{{cancelled, gone}, {late, context.DeadlineExceeded}} {
		result, err := s.set.Run(stopped.ctx, toolCall(tool, s.names.Replace(good.arguments)))
		if !errors.Is(err, stopped.want) {
			t.Errorf("%s: %+v, %v, want %v", tool, result, err, stopped.want)
		}
	}
	if after := tree(t, filepath.Dir(s.dir)); after != before {
		t.Errorf("%s has changed something after its turn had ended", tool)
	}
}

// stage is all that tools work with, and things that they have to bear.
type stage struct {
	set     *Set
	ctx     context.Context //nolint:containedctx // of the one turn
	dir     string
	outside string
	before  string // what is outside
	names   *strings.Replacer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(serveSite))
	t.Cleanup(server.Close)
	client, err := web.New(web.Options{
		Search: web.SearXNG, SearXNG: server.URL, AllowPrivate: []string{strings.TrimPrefix(server.URL, "http://")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &stage{dir: filepath.Join(t.TempDir(), "profile", "workspace"), outside: filepath.Join(t.TempDir(), "outside")}
	asked := ""
	s.set, err = NewSet(kept(Options{
		Workspace: s.dir, Sandbox: box, Web: client,
		Sessions: fakeSessions{messages: 500, asked: &asked}, Tasks: &keptTasks{lists: map[string][]byte{}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.set.Close)
	s.furnish(t)
	s.before = tree(t, s.outside)
	s.ctx = WithReadLog(WithTurn(t.Context(), Turn{SessionID: "s", RunID: "r"}))
	s.ctx = WithChildren(s.ctx, &fakeChildren{reports: []Report{{Ending: "done", SessionID: "task_1", Steps: 2, Tokens: 30}}})
	job := background(s.ctx, t, s.set, "echo begun; exec sleep 1000", false)
	flood := background(s.ctx, t, s.set, "seq 1 100000", false)
	binary := background(s.ctx, t, s.set, `printf 'first\000\377\n'`, false)
	for _, ended := range []string{flood, binary} {
		if got := processCall(t, s.set, "wait", ended, nil); got.Failed {
			t.Fatalf("%+v", got)
		}
	}
	s.names = strings.NewReplacer("SITE", server.URL, "JOB", job, "FLOOD", flood, "BINARY", binary)
	return s
}

// furnish makes the files.
func (s *stage) furnish(t *testing.T) {
	t.Helper()
	home := filepath.Dir(s.dir)
	put(t, s.outside, "secret.txt", "the secret outside\n")
	put(t, s.dir, "a.txt", "one\ntwo\n")
	put(t, s.dir, "long.txt", strings.Repeat("a line that is as long as lines are, or so\n", 10_000))
	for _, name := range []string{"data.bin", "other.bin"} {
		put(t, s.dir, name, "\x7f\x00\x01\x00\x00\x00one")
	}
	put(t, home, "skills/tea/SKILL.md", skillText("tea"))
	put(t, home, "skills/tea/references/long.md", numbered(20_000))
	put(t, home, "skills/tea/assets/data.bin", "\x7f\x00\x01\x00PNG")
	for i := range 300 {
		name := fmt.Sprintf("skill-%d", i)
		put(t, home, "skills/many/"+name+"/SKILL.md", "---\nname: "+name+"\ndescription: "+strings.Repeat("How to do it. ", 60)+"\n---\n")
	}
	for _, link := range []string{filepath.Join(s.dir, "out"), filepath.Join(home, "skills/tea/scripts")} {
		if err := os.Symlink(s.outside, link); err != nil {
			t.Fatal(err)
		}
	}
}

// serveSite is a search service at /search, and pages.
func serveSite(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path + r.URL.Query().Get("q") {
	case "/searchships":
		_, _ = io.WriteString(w, `{"results":[{"title":"Ships","url":"https://a.example/","content":"They float."}]}`)
	case "/searchmany":
		_, _ = io.WriteString(w, `{"results":[{"title":"T","url":"https://a.example/"}`)
		for i := range 100 {
			_, _ = fmt.Fprintf(w, `,{"title":"T","url":"https://a.example/%d","content":"%s"}`, i, strings.Repeat("long ", 1000))
		}
		_, _ = io.WriteString(w, `]}`)
	case "/page":
		_, _ = io.WriteString(w, "<html><title>A page</title><p>Words.</p></html>")
	case "/long":
		_, _ = io.WriteString(w, "<html><title>Long</title>"+strings.Repeat("<p>Words, and more of them.</p>", 20_000)+"</html>")
	case "/picture", "/searchpicture":
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write([]byte{0x89, 'P', 'N', 'G', 0, 0xff})
	case "/out":
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}
