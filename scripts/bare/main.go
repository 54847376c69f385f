// Command bare is the least that can answer GET /health on a listener that it
// inherits as descriptor 3. scripts/bench holds a worker of hermes against it.
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`) // a client that has gone needs none
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.Serve(listener))
}
