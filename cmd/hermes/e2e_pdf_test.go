package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"hermes/worker/pdf"
)

// report is a PDF document with these entries in the dictionary of its table of
// objects.
func report(entries string) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	var rows []byte
	content := "BT /F1 12 Tf 72 700 Td (Quarterly report) Tj ET"
	for i, object := range []string{
		"<</Type /Catalog /Pages 2 0 R>>", "<</Type /Pages /Kids [3 0 R] /Count 1>>",
		"<</Type /Page /Parent 2 0 R /Contents 4 0 R>>", fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(content), content),
	} {
		rows = append(rows, 1, byte(out.Len()>>8), byte(out.Len()))
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	begin := out.Len()
	fmt.Fprintf(&out, "5 0 obj\n<</Type /XRef /Root 1 0 R /W [1 2 0] /Index [1 4] %s /Length %d>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		entries, len(rows), rows, begin)
	return out.Bytes()
}

// sendPDF asks about a document and returns status and body.
func (p person) sendPDF(t *testing.T, name string, document []byte) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"messages": []any{map[string]any{"role": "user", "content": []any{
		map[string]any{"type": "text", "text": "What is this?"},
		map[string]any{"type": "file", "file": map[string]any{
			"filename": name, "file_data": "data:application/pdf;base64," + base64.StdEncoding.EncodeToString(document),
		}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// readersBelow are the processes below a worker that read documents.
func readersBelow(worker int) (readers []int) {
	for _, pid := range descendants(worker) {
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(words), "\x00"+pdf.Subcommand+"\x00") {
			readers = append(readers, pid)
		}
	}
	return readers
}

// The model gets the text of a PDF document, and a document that kills what
// reads it kills nothing else.
func TestPDFsReachTheModelAsText(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	if status, body := alice.sendPDF(t, "q3.pdf", report("/Size 6")); status != http.StatusOK {
		t.Fatalf("got %d %s\n%s", status, body, g.printed())
	}
	worker := g.worker(alice) // which the first request has started
	calls := m.upstream.Calls()
	if got := calls[len(calls)-1].LastUser(); !strings.Contains(got, "<file name=\"q3.pdf\" type=\"application/pdf\">\nQuarterly report\n</file>") {
		t.Errorf("the model was asked %q", got)
	}
	for _, test := range []struct {
		name     string
		document []byte
		want     string
	}{
		{"cut.pdf", report("/Size 6")[:200], "cut.pdf (application/pdf) cannot be read: it is damaged, or of a kind that is not known here."},
		{"bomb.pdf", report("/Size 1000000000"), "bomb.pdf (application/pdf) cannot be read: that takes too much time or memory."},
	} {
		status, body := alice.sendPDF(t, test.name, test.document)
		if status != http.StatusBadRequest || !strings.Contains(body, `"unsupported_content_type"`) || !strings.Contains(body, test.want) {
			t.Errorf("%s: got %d %s", test.name, status, body)
		}
	}
	if now := g.worker(alice); now != worker {
		t.Errorf("the worker was %d and is %d", worker, now)
	}
	eventually(t, patience, "nothing that reads a document is left", func() bool { return len(readersBelow(worker)) == 0 })
	if len(m.upstream.Calls()) != len(calls) {
		t.Error("the model was asked about a document that could not be read")
	}
}
