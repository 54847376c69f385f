package egress

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A worker that was taken over asks straight through its door: for the usage, or not,
// and leaves before the end, or not. It is refused when its tokens are used up.
func TestWorkerCannotSpendMoreTokensThanItMay(t *testing.T) {
	t.Parallel()
	question := `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 1000) + `"}]}` // about 410 tokens
	for name, answer := range map[string]string{
		"usage":        `{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":-5}"}}],"usage":{"prompt_tokens":300,"completion_tokens":100}}`,
		"no usage":     `{"choices":[{"message":{"content":"hi"}}]}`,
		"left behind":  "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
		"lies of less": `{"choices":[],"usage":{"prompt_tokens":-300,"completion_tokens":-100}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := provider(t, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, answer)
				_ = http.NewResponseController(w).Flush()
				if name == "left behind" && r.Method == http.MethodPost {
					<-r.Context().Done()
				}
			})
			table := model(up.URL)
			table.Budget.TokensPerDay = 1000
			s := serve(t, table, Options{})
			for n := 0; ; n++ {
				if n == 4 {
					t.Fatalf("%d requests were let through: %s", n, s.audit)
				}
				resp, err := s.client("model/0").Post("http://x/v1/chat/completions", "application/json", strings.NewReader(question))
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == http.StatusTooManyRequests {
					text, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if n < 2 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "limits.tokens_per_day") {
						t.Errorf("refused after %d: %v %s", n, resp.Header, text)
					}
					break
				}
				if name != "left behind" {
					_, _ = io.Copy(io.Discard, resp.Body)
				}
				resp.Body.Close()
				eventually(t, "the request is settled", func() bool { return len(s.entries()) == n+1 })
				e := s.entries()[n]
				if e.TokensIn < 300 || e.TokensIn > 500 || e.Estimated != (name != "usage") {
					t.Errorf("written down: %+v", e)
				}
			}
			// What costs no tokens is answered all the same.
			if status, _, _, err := s.send(http.MethodGet, "/v1/models", "", nil); err != nil || status != http.StatusOK {
				t.Errorf("the list of models: %d, %v", status, err)
			}
		})
	}
}

// Many requests at once gain nothing: what they cost so far counts before they end, and
// beyond twice the limit they are broken off.
func TestAnswersTogetherAreBounded(t *testing.T) {
	t.Parallel()
	say, quit := make(chan struct{}), make(chan struct{})
	end := sync.OnceFunc(func() { close(quit) })
	piece := "data: {\"choices\":[{\"delta\":{\"content\":\"" + strings.Repeat("a", 10_000) + "\"}}]}\n\n" // 4,000 tokens
	up := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-say
		for range 10 {
			fmt.Fprint(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
		<-quit
	})
	t.Cleanup(end)
	table := model(up.URL)
	table.Budget.TokensPerDay = 10_000
	s := serve(t, table, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			resp, err := s.client("model/0").Post("http://x/v1/chat/completions", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	}
	eventually(t, "all are asked", func() bool { return up.n.Load() == 8 })
	close(say)
	eventually(t, "all but one are broken off", func() bool { return strings.Count(s.audit.String(), `"verdict":"refused"`) >= 7 })
	if status, _, _, err := s.send(http.MethodPost, "/v1/chat/completions", "{}", nil); err != nil || status != http.StatusTooManyRequests {
		t.Errorf("one more: %d, %v", status, err)
	}
	end()
	wg.Wait()
}

// What was used is told, and the next generation goes on with it.
func TestTokensOutliveTheProcess(t *testing.T) {
	t.Parallel()
	up := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"usage":{"prompt_tokens":90,"completion_tokens":20}}`)
	})
	table := model(up.URL)
	table.Budget.TokensPerDay = 100
	p := startReal(t, table)
	post := func() int {
		t.Helper()
		resp, err := (&http.Client{Transport: p.door.Upstream("model/0")}).Post("http://x/v1/chat/completions", "", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := post(); status != http.StatusOK {
		t.Fatalf("the first: %d", status)
	}
	_ = p.control.SetReadDeadline(time.Now().Add(patience))
	told, _, err := p.control.Receive()
	if err != nil || told.Do != DoUsed || told.Tokens != 110 {
		t.Fatalf("told is %+v, %v", told.Used, err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.stop()
	p.resumed = told.Used
	p.start(table)
	if status := post(); status != http.StatusTooManyRequests {
		t.Errorf("after a kill: %d", status)
	}
}

func TestUsedOfTwoGenerations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ one, two, want Used }{
		{Used{1, 5, 6}, Used{1, 6, 5}, Used{1, 6, 6}},
		{Used{2, 1, 1}, Used{1, 6, 5}, Used{2, 1, 1}},
		{Used{}, Used{3, 4, 5}, Used{3, 4, 5}},
	} {
		if got := test.one.Most(test.two); got != test.want || test.two.Most(test.one) != test.want {
			t.Errorf("%+v and %+v are %+v", test.one, test.two, got)
		}
	}
	var o Order
	if err := json.Unmarshal([]byte(`{"do":"used","profile":"a","day":1,"bytes":2}`), &o); err != nil || o.Used != (Used{Day: 1, Bytes: 2}) {
		t.Errorf("what an older program has told is %+v, %v", o.Used, err)
	}
}
