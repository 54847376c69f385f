package supervisor

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"hermes/configs"
)

// ask asks the address for metrics.
func ask(t *testing.T, method, address, path, host, authorization string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestMetricsOverTCP(t *testing.T) {
	t.Parallel()
	const token = "mt-Zq8mT2vWc4YxN7bL0aRk"
	for _, secured := range []bool{false, true} {
		h := newHome(t)
		h.add("alice", "")
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		g := h.gateway()
		g.settings.MetricsAddress = address
		if secured {
			g.token = configs.NewSecret(token)
		}
		g.run()
		g.await("alice", StateReady)
		eventually(t, "metrics are served", func() bool { code, _ := ask(t, http.MethodGet, address, pathMetrics, "", ""); return code != 0 })
		tests := []struct {
			name, method, path, host, authorization string
			open, token                             int // the status without and with a token that is set
		}{
			{"plain", "GET", pathMetrics, "", "", 200, 401},
			{"with the token", "GET", pathMetrics, "", "Bearer " + token, 200, 200},
			{"in other letters", "GET", pathMetrics, "", "bearer " + token, 200, 200},
			{"with another token", "GET", pathMetrics, "", "Bearer " + token + "x", 200, 401},
			{"with another scheme", "GET", pathMetrics, "", "Basic " + token, 200, 401},
			{"a name of a web page", "GET", pathMetrics, "evil.example", "", 403, 401},
			{"a name of a web page with a port", "GET", pathMetrics, "evil.example:9642", "", 403, 401},
			{"a proxy with the token", "GET", pathMetrics, "metrics.example", "Bearer " + token, 403, 200},
			{"localhost", "GET", pathMetrics, "localhost:9642", "", 200, 401},
			{"IPv6", "GET", pathMetrics, "[::1]:9642", "", 200, 401},
			{"another method", "POST", pathMetrics, "", "Bearer " + token, 405, 405},
			{"the status", "GET", pathStatus, "", "Bearer " + token, 404, 404},
			{"to stop it", "POST", pathStop, "", "Bearer " + token, 404, 404},
		}
		for _, test := range tests {
			want := test.open
			if secured {
				want = test.token
			}
			code, body := ask(t, test.method, address, test.path, test.host, test.authorization)
			if code != want || strings.Contains(body, token) {
				t.Errorf("secured %v, %s: got %d %s, want %d", secured, test.name, code, body, want)
			}
			if code == 200 && !strings.Contains(body, `hermes_worker_state{profile="alice",state="ready"} 1`) {
				t.Errorf("%s: got %s", test.name, body)
			}
		}
		if status := fmt.Sprintf("%+v%s", g.status("alice"), g.log); strings.Contains(status, token) {
			t.Error("the token is shown")
		}
		if err := g.client().Stop(t.Context(), StopRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := g.awaitEnd(); err != nil {
			t.Error(err)
		}
		if code, _ := ask(t, http.MethodGet, address, pathMetrics, "", ""); code != 0 {
			t.Errorf("after the end it answers %d", code)
		}
	}
}

func TestMetricsThatCannotBeServedHarmNobody(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]string{
		taken.Addr().String(): "metrics are not served; that is tried again",
		"0.0.0.0:9642":        "anything but loopback needs a token in the home's .env",
	} {
		h := newHome(t)
		h.add("alice", "")
		g := h.gateway()
		g.settings.MetricsAddress = address
		g.run()
		g.await("alice", StateReady)
		eventually(t, "the log says why", func() bool { return strings.Contains(g.log.String(), want) })
	}
}
