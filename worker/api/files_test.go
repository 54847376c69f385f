package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

// base64Of makes a data URI.
func base64Of(kind, content string) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString([]byte(content))
}

// sendFile sends a message with a file and returns the text that the model gets
// of it.
func sendFile(t *testing.T, opts api.Options, part map[string]any) (text string, got answer) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"messages": []any{map[string]any{"role": "user", "content": []any{
		map[string]any{"type": "text", "text": "read this"}, part,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	opts.Agent = runs(func(_ context.Context, turn agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		text = turn.History[0].Parts[1].Text
		return answered("hi"), nil
	})
	got = call(t, api.New(opts), "POST", "/v1/chat/completions", string(body))
	return text, got
}

func filePart(name, data string) map[string]any {
	return map[string]any{"type": "file", "file": map[string]any{"filename": name, "file_data": data}}
}

func TestFilesAreReadIntoTheMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, data, want string
	}{
		{"text", "notes.md", base64Of("text/markdown", "# Hi\n"), "<file name=\"notes.md\" type=\"text/markdown\">\n# Hi\n</file>"},
		{"charset", "a.txt", "data:text/plain;charset=utf-8;base64,w7w=", "<file name=\"a.txt\" type=\"text/plain\">\nü\n</file>"},
		{"json", "a.json", base64Of("application/json", `{"a":1}`), "<file name=\"a.json\" type=\"application/json\">\n{\"a\":1}\n</file>"},
		{"code that looks like a video", "a.ts", base64Of("video/mp2t", "let a = 1"), "<file name=\"a.ts\" type=\"video/mp2t\">\nlet a = 1\n</file>"},
		{"unknown type", "main.go", base64Of("application/octet-stream", "package main"), "package main"},
		{"no type", "", "data:;base64,aGk=", "<file name=\"file\" type=\"text/plain\">\nhi\n</file>"},
		{"bare base64", "a.yaml", "YTogMQ==", "\na: 1\n"},
		{"base64 in lines without padding", "a.yaml", "YTog\r\nMQ", "\na: 1\n"},
		{"percent", "a.csv", "data:text/csv,a%2Cb%0A1,2", "\na,b\n1,2\n"},
		{"byte order mark", "a.txt", base64Of("text/plain", "\ufeffhi"), "\nhi\n"},
		{"UTF-16", "a.txt", base64Of("text/plain", "\xff\xfeh\x00i\x00\x3d\xd8\x00\xde"), "\nhi😀\n"},
		{"UTF-16, the other way round", "a.txt", base64Of("text/plain", "\xfe\xff\x00h\x00i"), "\nhi\n"},
		{"old encoding", "umsatz.csv", base64Of("application/vnd.ms-excel", "f\xfcr;5 \x80"), "\nfür;5 €\n"},
		{"path and quotes in the name", `C:\docs\a "b".txt`, base64Of("text/plain", "hi"), `<file name="a 'b'.txt" `},
		{"line breaks in the name", "../a\nb.txt", base64Of("text/plain", "hi"), `<file name="a b.txt" `},
		{"empty", "a.txt", "data:text/plain;base64,", "<file name=\"a.txt\" type=\"text/plain\">\n\n</file>"},
		{"as much as is taken", "a.txt", base64Of("text/plain", strings.Repeat("a", 1<<20)), strings.Repeat("a", 1<<20)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text, got := sendFile(t, fixed(nil), filePart(test.file, test.data))
			if got.status != 200 || !strings.Contains(text, test.want) {
				t.Errorf("got %d %.300s, text %.300q", got.status, got.body, text)
			}
			text, got = sendFile(t, fixed(nil), map[string]any{"type": "input_file", "filename": test.file, "file_data": test.data})
			if got.status != 200 || !strings.Contains(text, test.want) {
				t.Errorf("in the other spelling: got %d %.300s, text %.300q", got.status, got.body, text)
			}
		})
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		part        map[string]any
		param, code string
		message     string
	}{
		{"archive", filePart("a.zip", base64Of("application/zip", "PK\x03\x04\x00\x00")), ".file.file_data", "unsupported_content_type", "a.zip is of type application/zip."},
		{"unknown type, by its content", filePart("a", base64Of("", "\x89PNG\r\n\x1a\n\x00\x00")), ".file.file_data", "unsupported_content_type", "a is of type image/png."},
		{"unknown", filePart("a.foo", base64Of("application/octet-stream", "\x00\x01\xff")), ".file.file_data", "unsupported_content_type", "application/octet-stream"},
		{"not quite UTF-16", filePart("a.txt", base64Of("text/plain", "\xff\xfeh")), ".file.file_data", "unsupported_content_type", "text/plain"},
		{"data that is called text", filePart("a.txt", base64Of("text/plain", "\x00\x01")), ".file.file_data", "unsupported_content_type", "text/plain"},
		{"PDF", filePart("a.pdf", base64Of("application/pdf", "%PDF-1.7 \x00")), ".file.file_data", "unsupported_content_type", "a.pdf (application/pdf) is not read by this server."},
		{"too much", filePart("a.txt", base64Of("text/plain", strings.Repeat("a", 1<<20+1))), ".file.file_data", "invalid_value", "1048576 bytes"},
		{"no base64", filePart("a.txt", "data:text/plain;base64,%%%"), ".file.file_data", "invalid_value", "data URI"},
		{"no comma", filePart("a.txt", "data:text/plain;base64"), ".file.file_data", "invalid_value", "no comma"},
		{"no data", filePart("a.txt", ""), ".file.file_data", "invalid_value", "is missing"},
		{"kept elsewhere", map[string]any{"type": "file", "file": map[string]any{"file_id": "file-1"}}, ".file.file_data", "invalid_value", "keeps no files"},
		{"at an address", map[string]any{"type": "input_file", "file_url": "http://x/y"}, ".file_data", "invalid_value", "fetches none"},
		{"nothing", map[string]any{"type": "file"}, ".file", "invalid_value", "is missing"},
		{"number", map[string]any{"type": "file", "file": map[string]any{"file_data": 1}}, ".file.file_data", "invalid_value", "must be a string"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, got := sendFile(t, fixed(nil), test.part)
			e := got.error(t)
			if got.status != 400 || e.Param != "messages[0].content[1]"+test.param || e.Code != test.code || !strings.Contains(e.Message, test.message) {
				t.Errorf("got %d %+v", got.status, e)
			}
		})
	}
}

func TestDocumentsAreReadWhereSomethingCan(t *testing.T) {
	t.Parallel()
	const data = "PK\x03\x04\x00"
	tests := []struct {
		name, text string
		found      bool
		err        error
		want       string
	}{
		{name: "text", text: "One\n", found: true, want: "<file name=\"a.docx\" type=\"application/zip\">\nOne\n</file>"},
		{name: "pictures only", found: true, want: "holds no text"},
		{name: "broken", err: errors.New("is encrypted. Save a copy without a password"), want: "a.docx (application/zip) is encrypted. Save a copy without a password."},
		{name: "an archive", want: "PDF and Office documents, notebooks and text files of all kinds are read"},
		{name: "long", text: strings.Repeat("a", 1<<20+1), found: true, want: "too much text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(nil)
			opts.ReadDocument = func(_ context.Context, name string, content []byte, limit int) (string, bool, error) {
				if name != "a.docx" || string(content) != data || limit <= 1<<20 {
					t.Errorf("read %q, %q, at most %d", name, content, limit)
				}
				return test.text, test.found, test.err
			}
			sent, got := sendFile(t, opts, filePart("a.docx", base64Of("application/zip", data)))
			if shown := sent + got.body; !strings.Contains(shown, test.want) {
				t.Errorf("got %d %s", got.status, shown)
			}
		})
	}
}

func TestPDFsAreReadWhereSomethingCan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		err        error
		want       string
	}{
		{name: "text", text: "Page 1\n", want: "<file name=\"a.pdf\" type=\"application/pdf\">\nPage 1\n</file>"},
		{name: "scan", text: " \n", want: "holds no text"},
		{name: "broken", err: errors.New("no pages"), want: "cannot be read: no pages"},
		{name: "long", text: strings.Repeat("a", 1<<20+1), want: "too much text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := fixed(nil)
			opts.ReadPDF = func(_ context.Context, data []byte, limit int) (string, error) {
				if string(data) != "%PDF-1.7" || limit != 1<<20+1 {
					t.Errorf("read %q, at most %d", data, limit)
				}
				return test.text, test.err
			}
			// Some clients do not name the type.
			text, got := sendFile(t, opts, filePart("a.pdf", base64Of("application/octet-stream", "%PDF-1.7")))
			if !strings.Contains(text+got.body, test.want) || (got.status == 200) != (text != "") {
				t.Errorf("got %d %s, text %q", got.status, got.body, text)
			}
		})
	}
}

func TestModelsThatCannotSee(t *testing.T) {
	t.Parallel()
	const image = `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"https://x/y.png"}]}]}`
	refusal := &llm.Error{Class: llm.BadRequest, Status: 400, Message: "Invalid content type. image_url is only supported by certain models."}
	for _, test := range []struct {
		name, body string
		err        error
		status     int
		code       string
	}{
		{"image", image, refusal, 400, "unsupported_content_type"},
		{"no image", hello, refusal, 502, "upstream_bad_request"},
		{"another reason", image, &llm.Error{Class: llm.BadRequest, Status: 400, Message: "temperature is too high"}, 502, "upstream_bad_request"},
		{"another failure", image, &llm.Error{Class: llm.Network, Message: "image of the VM is gone"}, 502, "upstream_network"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t, api.New(fixed(script(nil, agent.Result{}, test.err))), "POST", "/v1/chat/completions", test.body)
			if e := got.error(t); got.status != test.status || e.Code != test.code || !strings.Contains(e.Message, test.err.Error()) {
				t.Errorf("got %d %+v", got.status, e)
			}
		})
	}
}
