package egress

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// A provider repeats the key in the middle of an answer that began well, in one piece
// or cut anywhere.
func TestAnswersComeWithoutTheKey(t *testing.T) {
	t.Parallel()
	stars := strings.Repeat("*", len(canary))
	for _, whole := range []bool{false, true} {
		up := provider(t, func(w http.ResponseWriter, r *http.Request) {
			cut, _ := strconv.Atoi(r.Header.Get("Mcp-Cut"))
			if whole {
				w.Header().Set("Content-Length", strconv.Itoa(len("data: ")+2*len(canary)+len(" is tired\n\n")))
			}
			fmt.Fprint(w, "data: ", canary, canary[:cut])
			_ = http.NewResponseController(w).Flush()
			fmt.Fprint(w, canary[cut:], " is tired\n\n")
		})
		s := serve(t, model(up.URL), Options{})
		for cut := range len(canary) + 1 {
			status, _, text, err := s.send(http.MethodPost, "/v1/chat/completions", "{}", http.Header{"Mcp-Cut": {strconv.Itoa(cut)}})
			if want := "data: " + stars + stars + " is tired\n\n"; err != nil || status != http.StatusOK || text != want {
				t.Fatalf("cut at %d: %d %q, %v", cut, status, text, err)
			}
		}
	}
}

// FuzzMask: however an answer is cut, it comes as if it were one piece, without a
// secret, and as long as it was.
func FuzzMask(f *testing.F) {
	f.Add("data: "+canary+"\n\n", canary, "sk-other-key", uint8(3))
	f.Add(`{"error":"a\"b<c>d\\e is wrong"}`, `a"b<c>d\e`, "b<c>d\\eee", uint8(1))
	f.Fuzz(func(t *testing.T, text, first, second string, step uint8) {
		if len(first) > 100 || len(second) > 100 || len(text) > 1000 {
			return
		}
		hidden := newMask([]string{first, second})
		whole := []byte(text)
		hidden.hide(whole)
		for _, secret := range hidden {
			if bytes.Contains(whole, secret) && strings.Trim(string(secret), "*") != "" {
				t.Errorf("%q is still in %q", secret, whole)
			}
		}
		out := httptest.NewRecorder()
		x := &exchange{server: &Server{}, w: out}
		x.server.buffers.New = func() any { return new([32 << 10]byte) }
		if err := x.copy(&stepper{strings.NewReader(text), int(step) + 1}, hidden, false); err != nil {
			t.Error(err)
		}
		if len(hidden) < 2 && out.Body.String() != string(whole) || out.Body.Len() != len(text) {
			t.Errorf("in pieces %q, at once %q", out.Body.String(), whole)
		}
		for _, secret := range hidden {
			if bytes.Contains(out.Body.Bytes(), secret) && strings.Trim(string(secret), "*") != "" {
				t.Errorf("%q is still in %q", secret, out.Body.String())
			}
		}
	})
}

// stepper gives so many bytes at a time.
type stepper struct {
	from io.Reader
	step int
}

func (s *stepper) Read(p []byte) (int, error) { return s.from.Read(p[:min(len(p), s.step)]) }
