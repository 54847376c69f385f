package upstream

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"hermes/worker/llm"
)

const (
	// maxFailure is how many bytes of an error's body are read.
	maxFailure = 64 << 10
	// maxMessage is how many bytes of what a server said are passed on.
	maxMessage = 500
	// maxRetryAfter caps what a server may ask to wait.
	maxRetryAfter = time.Hour
)

// said is what a server said about a failure.
type said struct {
	message, code, kind string
	request             string // the server's name for the request
	status              int    // where the body names one
}

// Failure makes an error of an answer that is none. Status is 0 when the
// failure was told inside an answer that had begun well.
func Failure(status int, header http.Header, body []byte, now time.Time) *llm.Error {
	s := read(body)
	if status == 0 {
		status = s.status
	}
	e := &llm.Error{
		Class:      classify(status, s),
		Status:     status,
		Code:       s.code,
		Message:    s.message,
		RetryAfter: retryAfter(header, now),
		RequestID:  requestID(header.Get("Request-Id"), header.Get("X-Request-Id"), s.request),
	}
	if e.Class == llm.Overflow {
		e.Limit, e.Sent = window(s.message)
	}
	if e.Code == "" {
		e.Code = s.kind
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	if e.Message == "" {
		e.Message = "the model server reported an error and did not say which"
	}
	return e
}

// errorBody is any of the shapes in which servers report errors.
type errorBody struct {
	Error   json.RawMessage `json:"error"` // an object like this one, or a text
	Choices []struct {
		Error json.RawMessage `json:"error"`
	} `json:"choices"`
	Message json.RawMessage `json:"message"`
	Msg     json.RawMessage `json:"msg"`    // an element of FastAPI's detail
	Detail  json.RawMessage `json:"detail"` // a text, or a list
	Code    json.RawMessage `json:"code"`   // a word, or an HTTP status
	Type    json.RawMessage `json:"type"`
	Status  json.RawMessage `json:"status"`     // Google's word for a code
	Request json.RawMessage `json:"request_id"` // Anthropic
	// Metadata is where OpenRouter puts the words of the provider behind it.
	Metadata struct {
		Raw json.RawMessage `json:"raw"`
	} `json:"metadata"`
}

// read takes a failure's message and code out of a body of any shape.
func read(body []byte) said {
	text := strings.TrimSpace(string(body))
	if s, ok := readJSON([]byte(text), 0); ok {
		s.message = OneLine(s.message)
		return s
	}
	if strings.HasPrefix(text, "<") {
		return said{message: OneLine(readHTML(text))}
	}
	return said{message: OneLine(text)}
}

// readJSON reads an object, a list of them, or a string.
func readJSON(raw json.RawMessage, depth int) (said, bool) {
	if depth > 3 || !json.Valid(raw) || Absent(raw) {
		return said{}, false
	}
	switch raw[0] {
	case '"':
		return said{message: Unquote(raw)}, true
	case '[':
		return readList(raw, depth)
	case '{':
		return readObject(raw, depth)
	default:
		return said{}, false
	}
}

// readList joins the messages of a list: Google's answer has one, FastAPI's
// one for each wrong field.
func readList(raw json.RawMessage, depth int) (said, bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return said{}, false
	}
	var all said
	var messages []string
	for _, element := range list {
		s, ok := readJSON(element, depth+1)
		if !ok {
			continue
		}
		if len(messages) == 0 {
			all = s
		}
		messages = append(messages, s.message)
	}
	all.message = strings.Join(messages, "; ")
	return all, len(messages) > 0
}

func readObject(raw json.RawMessage, depth int) (said, bool) {
	var body errorBody
	if json.Unmarshal(raw, &body) != nil {
		return said{}, false
	}
	own := said{kind: Str(body.Type)}
	for _, code := range []string{Str(body.Status), Str(body.Code)} {
		n, err := strconv.Atoi(code)
		switch {
		case err != nil && code != "":
			own.code = code
		case err == nil && n >= 400 && n < 600:
			own.status = n
		}
	}
	for _, inner := range body.nested() {
		s, ok := readJSON(inner, depth+1)
		if !ok {
			continue
		}
		if s.code == "" && s.kind == "" {
			s.code, s.kind = own.code, own.kind
		}
		if s.status == 0 {
			s.status = own.status
		}
		s.request = Str(body.Request)
		if provider := Str(body.Metadata.Raw); provider != "" {
			s.message += ": " + read([]byte(provider)).message
		}
		return s, true
	}
	return own, true
}

// nested returns the places where the message may stand, best first.
func (b errorBody) nested() []json.RawMessage {
	nested := []json.RawMessage{b.Error}
	for _, choice := range b.Choices {
		nested = append(nested, choice.Error)
	}
	return append(nested, b.Message, b.Msg, b.Detail)
}

// title finds what an HTML page says about itself.
var title = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?is)<(?:title|h1)[^>]*>(.*?)</`)
})

// readHTML makes a few words of a page.
func readHTML(page string) string {
	if found := title().FindStringSubmatch(page); found != nil && strings.TrimSpace(found[1]) != "" {
		return "an HTML page: " + html.UnescapeString(found[1])
	}
	return "an HTML page"
}

// OneLine makes one line of bounded length of any text.
func OneLine(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage-len("…")], "") + "…"
	}
	return text
}

// classify sorts a failure. Words count for more than the status, because
// servers choose their statuses freely.
func classify(status int, s said) llm.Class {
	words := strings.ToLower(s.code + " " + s.kind + " " + s.message)
	switch {
	case status == http.StatusTooManyRequests && s.kind == "egress" && s.code == "tokens_per_day": // supervisor/egress/wire.TokensSpent
		return llm.Quota
	case Mentions(words, billingWords()):
		return llm.Billing
	case status != http.StatusTooManyRequests && Mentions(words, overflowWords()):
		return llm.Overflow
	case Mentions(words, filterWords()):
		return llm.ContentFilter
	case strings.Contains(words, "api key") && Mentions(words, []string{"invalid", "incorrect", "not valid", "expired"}):
		return llm.Auth
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return llm.Auth
	case http.StatusPaymentRequired:
		return llm.Billing
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return llm.RateLimit
	case http.StatusRequestEntityTooLarge:
		return llm.Overflow
	case http.StatusNotImplemented:
		return llm.BadRequest
	}
	switch {
	case Mentions(words, []string{"rate_limit", "rate limit", "too many requests"}):
		return llm.RateLimit
	case status >= 500, Mentions(words, []string{"overloaded", "server_error"}):
		return llm.Overloaded
	case status == 0 && Mentions(words, []string{"invalid_request", "bad_request", "not found", "not_found"}):
		return llm.BadRequest
	case status == 0:
		return llm.Overloaded // an answer that had begun well failed: the server's fault
	default:
		return llm.BadRequest
	}
}

// Mentions reports whether a text has one of the words in it.
func Mentions(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

func billingWords() []string {
	return []string{
		"insufficient_quota", "billing_hard_limit", "billing_not_active", "insufficient balance",
		"credit balance", "insufficient credits", "insufficient funds", "payment required", "billing_error", "api usage limits",
	}
}

// overflowWords are how servers say that the request has more tokens than the
// model takes. In order: OpenAI and vLLM, llama.cpp, Anthropic, Google, xAI,
// Groq, Bedrock, LM Studio, Copilot, Mistral.
func overflowWords() []string {
	return []string{
		"context_length_exceeded", "maximum context length", "context length exceeded", "exceeds the context",
		"context window", "exceed_context_size", "exceeds the available context size", "prompt is too long",
		"exceeds the maximum number of tokens", "maximum prompt length", "reduce the length of the messages", "exceed context limit",
		"input is too long", "when context the overflows", "when the context overflows", "max_prompt_tokens_exceeded",
		"too large for model with",
	}
}

func filterWords() []string {
	return []string{"content_filter", "content_policy", "content filter", "content policy", "content management policy", "flagged by", "was flagged"}
}

// requestID returns the first of the ids that is one: it is shown and logged, so
// nothing else may come in with it.
func requestID(ids ...string) string {
	for _, id := range ids {
		strange := strings.ContainsFunc(id, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
		})
		if id != "" && len(id) <= 128 && !strange {
			return id
		}
	}
	return ""
}

// retryAfter reads how long a server asks to wait: milliseconds, seconds or a
// date.
func retryAfter(header http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		return wait(ms, time.Millisecond)
	}
	after := header.Get("Retry-After")
	if s, err := strconv.ParseFloat(after, 64); err == nil {
		return wait(s, time.Second)
	}
	if date, err := http.ParseTime(after); err == nil {
		return wait(date.Sub(now).Seconds(), time.Second)
	}
	return 0
}

// wait makes a duration, between nothing and maxRetryAfter.
func wait(n float64, unit time.Duration) time.Duration {
	if !(n > 0) { // not a number, too
		return 0
	}
	return time.Duration(min(n, float64(maxRetryAfter/unit)) * float64(unit))
}
