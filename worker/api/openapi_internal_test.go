package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hermes/worker/openai"
)

// Every route of the server is in openapi.json, and everything in there is a
// route.
func TestTheDescriptionHasTheRoutes(t *testing.T) {
	t.Parallel()
	parameter := regexp.MustCompile(`\{[^}]+\}|:[^/]+|\*`)
	s := New(Options{ModelName: "alice", Log: slog.New(slog.DiscardHandler)})
	var served, described []string
	for _, route := range s.metrics.routes {
		if route.Method != http.MethodHead {
			served = append(served, route.Method+" "+parameter.ReplaceAllString(route.Path, "{}"))
		}
	}
	operations, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range operations {
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(one.Path, "/v1"), "/")
		described = append(described, one.Method+" "+parameter.ReplaceAllString(path, "{}"))
	}
	slices.Sort(served)
	slices.Sort(described)
	for _, route := range served {
		if !slices.Contains(described, route) {
			t.Errorf("%s has no operation in openapi.json", route)
		}
	}
	for _, route := range described {
		if !slices.Contains(served, route) {
			t.Errorf("%s is in openapi.json, and has no route in server.go", route)
		}
	}
}

// A field that the decoder of requests knows is in openapi.json, and nothing
// else is.
func TestTheDescriptionHasTheFieldsOfRequests(t *testing.T) {
	t.Parallel()
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openapi, &description); err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]reflect.Type{
		"ChatCompletionRequest": reflect.TypeFor[openai.ChatRequest](),
		"ChatMessage":           reflect.TypeFor[openai.Message](),
		"ContentPart":           reflect.TypeFor[openai.Part](),
	} {
		described := description.Components.Schemas[name].Properties
		for field := range request.Fields() {
			known, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if _, ok := described[known]; !ok {
				t.Errorf("%s of openapi.json has no %s", name, known)
			}
			delete(described, known)
		}
		for left := range described {
			t.Errorf("%s of openapi.json has %s, which no decoder knows", name, left)
		}
	}
}
