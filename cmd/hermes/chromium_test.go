package main_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browser is a headless Chromium and the server of its pages. A page does one
// job, reports, and is sent on to the next one, so that nothing but the page
// itself drives the browser.
type browser struct {
	t       *testing.T
	port    string
	other   string // another port of the same server
	next    chan visit
	reports chan sight
	gone    chan struct{} // closed when the browser has ended
}

// visit is a page to open: any host below localhost leads to the server of the
// pages, so each is an origin of its own.
type visit struct {
	Origin string  `json:"origin"`
	Job    pageJob `json:"job"`
}

// pageJob is what testdata/clients/page.mjs does in a page.
type pageJob struct {
	BaseURL    string `json:"baseURL"`
	APIKey     string `json:"apiKey"`
	Message    string `json:"message"`
	AbortAfter int    `json:"abortAfter"` // chunks
	Simple     bool   `json:"simple"`     // also sends a request that needs no preflight
	Sandboxed  bool   `json:"sandboxed"`  // in a frame whose origin is null
	Responses  bool   `json:"responses"`  // asks for a response, and deletes it
}

// sight is what a page saw.
type sight struct {
	Origin    string
	Sent      []string // names of headers, in lower case
	Models    []string
	Text      string
	Chunks    int
	Finish    string
	RequestID string
	Deleted   string // the id of a response
	Simple    string // the type of the answer that the page was given
	Error     *struct {
		Name, Code, RequestID, Message string
		Status                         int
	}
}

// newBrowser starts Chromium. It has no network beyond this machine, and is gone
// with all its processes when the test has ended.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		program, err = exec.LookPath("google-chrome")
	}
	if err != nil {
		t.Fatal("find Chromium (scripts/setup installs it): ", err)
	}
	if _, err := clients(); err != nil {
		t.Fatal("fetch the openai client: ", err)
	}
	b := &browser{t: t, next: make(chan visit), reports: make(chan sight), gone: make(chan struct{})}
	b.port, b.other = b.listen(), b.listen()

	home := t.TempDir()
	// Chromium's own sandbox does not work for root, who runs tests in containers.
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+home,
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--disable-breakpad", "--no-proxy-server",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
		"http://app.localhost:"+b.port+"/")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second // then it is killed
	if err := cmd.Start(); err != nil {
		t.Fatal("start Chromium: ", err)
	}
	go func() {
		defer close(b.gone)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		<-b.gone // the test's context has ended
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		eventually(t, patience, "no process of Chromium is left", func() bool { return len(processes(t, home)) == 0 })
		if t.Failed() {
			t.Logf("Chromium printed:\n%s", output.String())
		}
	})
	return b
}

// listen serves the pages on a port.
func (b *browser) listen() (port string) {
	pages := httptest.NewServer(b)
	b.t.Cleanup(pages.Close)
	b.t.Cleanup(pages.CloseClientConnections)
	_, port, err := net.SplitHostPort(pages.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	return port
}

// ServeHTTP serves the pages and what they load, and talks with their script.
func (b *browser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A frame without an origin needs to be allowed what it loads.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	switch {
	case r.URL.Path == "/":
		http.ServeFile(w, r, filepath.Join("testdata", "clients", "page.html"))
	case r.URL.Path == "/page.mjs", strings.HasPrefix(r.URL.Path, "/node_modules/"):
		http.FileServer(http.Dir(filepath.Join("testdata", "clients"))).ServeHTTP(w, r)
	case r.URL.Path == "/next":
		select {
		case v := <-b.next:
			if err := json.NewEncoder(w).Encode(v); err != nil {
				b.t.Error("send a page on: ", err)
			}
		case <-r.Context().Done():
		}
	case r.URL.Path == "/report":
		var seen sight
		if err := json.NewDecoder(r.Body).Decode(&seen); err != nil {
			b.t.Error("read what a page saw: ", err)
		}
		select {
		case b.reports <- seen:
		case <-r.Context().Done():
		}
	default:
		http.NotFound(w, r)
	}
}

// open has a page of an origin do a job, and returns what it saw.
func (b *browser) open(t *testing.T, origin string, job pageJob) sight {
	t.Helper()
	deadline := time.After(time.Minute)
	next := b.next
	for {
		select {
		case next <- visit{origin, job}:
			next = nil // once
		case seen := <-b.reports:
			return seen
		case <-b.gone:
			t.Fatal("Chromium has ended")
		case <-deadline:
			t.Fatalf("the page at %s did not report in time", origin)
		}
	}
}
