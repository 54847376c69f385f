package main_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// outward is an address of this machine that is no loopback one: those several
// programs never ask a proxy for.
func outward(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, addr := range all {
		if at, ok := addr.(*net.IPNet); ok && at.IP.To4() != nil && at.IP.IsGlobalUnicast() {
			return at.IP.To4()
		}
	}
	t.Skip("this machine has no address but the loopback one")
	return nil
}

// warehouse serves, over https only and at an outward address, a repository for git in both of its ways, a package index for
// pip, a registry for npm and a proxy for go. It returns the address, and the
// certificate that clients have to trust.
func warehouse(t *testing.T) (address string, certificate []byte) {
	t.Helper()
	ln, err := net.Listen("tcp4", net.JoinHostPort(outward(t).String(), "0"))
	if err != nil {
		t.Skip(err)
	}
	address = ln.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "plain and secure") })
	repositories(t, mux)
	wheel(t, mux)
	registry(t, mux, address)
	modules(t, mux)
	pair, certificate := selfSigned(t, ln.Addr().(*net.TCPAddr).IP)
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener, server.TLS = ln, &tls.Config{Certificates: []tls.Certificate{pair}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return address, certificate
}

// selfSigned is a key pair for an address, and its certificate as clients want it.
func selfSigned(t *testing.T, ip net.IP) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "warehouse"}, IPAddresses: []net.IP{ip},
		DNSNames:  []string{"localhost"}, // what node calls an address that it reaches by a proxy
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// repositories serves one as git itself does, and one as plain files.
func repositories(t *testing.T, mux *http.ServeMux) {
	t.Helper()
	dir := repository(t)
	mux.Handle("/dumb/", http.StripPrefix("/dumb", http.FileServer(http.Dir(dir))))
	at, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip(err)
	}
	mux.Handle("/git/", &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(at)), "git-http-backend"), Root: "/git", Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
}

// wheel serves an index with one package of Python.
func wheel(t *testing.T, mux *http.ServeMux) {
	t.Helper()
	const file = "knit-1.0-py3-none-any.whl"
	data := zipped(t, map[string]string{
		"knit.py":                     "says = 'knitted'\n",
		"knit-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"knit-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: knit\nVersion: 1.0\n",
		"knit-1.0.dist-info/RECORD":   "knit.py,,\nknit-1.0.dist-info/WHEEL,,\nknit-1.0.dist-info/METADATA,,\nknit-1.0.dist-info/RECORD,,\n",
	})
	mux.HandleFunc("/simple/knit/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><html><body><a href="/files/%s">%[1]s</a></body></html>`, file)
	})
	mux.HandleFunc("/files/"+file, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
}

// registry serves one package for node.
func registry(t *testing.T, mux *http.ServeMux, address string) {
	t.Helper()
	var data bytes.Buffer
	packed := gzip.NewWriter(&data)
	archive := tar.NewWriter(packed)
	for name, content := range map[string]string{"package.json": `{"name":"purl","version":"1.0.0"}`, "index.js": "module.exports = 'purled'\n"} {
		if err := archive.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(archive, content)
	}
	_, _ = archive.Close(), packed.Close()
	sum := sha512.Sum512(data.Bytes())
	about, err := json.Marshal(map[string]any{
		"name": "purl", "dist-tags": map[string]string{"latest": "1.0.0"},
		"versions": map[string]any{"1.0.0": map[string]any{"name": "purl", "version": "1.0.0", "dist": map[string]string{
			"tarball": "https://" + address + "/npm/purl/-/purl-1.0.0.tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("/npm/purl", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(about)
	})
	mux.HandleFunc("/npm/purl/-/purl-1.0.0.tgz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data.Bytes()) })
}

// modules serves one module of Go.
func modules(t *testing.T, mux *http.ServeMux) {
	t.Helper()
	const at, mod = "/go/example.test/yarn/@v/", "module example.test/yarn\n\ngo 1.20\n"
	archive := zipped(t, map[string]string{
		"example.test/yarn@v1.0.0/go.mod": mod, "example.test/yarn@v1.0.0/yarn.txt": "spun\n", "example.test/yarn@v1.0.0/yarn.go": "package yarn\n",
	})
	for name, data := range map[string][]byte{
		"list": []byte("v1.0.0\n"), "v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}`), "v1.0.0.mod": []byte(mod), "v1.0.0.zip": archive,
	} {
		mux.HandleFunc(at+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var data bytes.Buffer
	archive := zip.NewWriter(&data)
	for name, content := range files {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, content)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}
