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

// A field that a request or an answer has in Go is in openapi.json, and nothing
// else is; of an answer, those that are always sent are required.
func TestTheDescriptionHasTheFields(t *testing.T) {
	t.Parallel()
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
				Required   []string       `json:"required"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openapi, &description); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		fields reflect.Type
		item   bool // an item, whose encoder adds the type
		sent   bool // by the server
	}{
		{name: "ChatCompletionRequest", fields: reflect.TypeFor[openai.ChatRequest]()},
		{name: "ChatMessage", fields: reflect.TypeFor[openai.Message]()},
		{name: "ContentPart", fields: reflect.TypeFor[openai.Part]()},
		{name: "ResponsesRequest", fields: reflect.TypeFor[openai.ResponsesRequest]()},
		{name: "InputMessage", fields: reflect.TypeFor[openai.MessageItem](), item: true},
		{name: "InputFunctionCall", fields: reflect.TypeFor[openai.FunctionCallItem](), item: true},
		{name: "InputFunctionCallOutput", fields: reflect.TypeFor[openai.FunctionOutputItem](), item: true},
		{name: "InputReasoning", fields: reflect.TypeFor[openai.ReasoningItem](), item: true},
		{name: "InputMCPCall", fields: reflect.TypeFor[openai.MCPCallItem](), item: true},
		{name: "ItemReference", fields: reflect.TypeFor[openai.ReferenceItem](), item: true},
		{name: "Response", fields: reflect.TypeFor[openai.Response](), sent: true},
		{name: "ResponseUsage", fields: reflect.TypeFor[openai.ResponseUsage](), sent: true},
		{name: "OutputMessage", fields: reflect.TypeFor[openai.MessageItem](), item: true, sent: true},
		{name: "StoredMessage", fields: reflect.TypeFor[openai.MessageItem](), item: true, sent: true},
		{name: "FunctionCall", fields: reflect.TypeFor[openai.FunctionCallItem](), item: true, sent: true},
		{name: "FunctionCallOutput", fields: reflect.TypeFor[openai.FunctionOutputItem](), item: true, sent: true},
		{name: "Reasoning", fields: reflect.TypeFor[openai.ReasoningItem](), item: true, sent: true},
		{name: "MCPCall", fields: reflect.TypeFor[openai.MCPCallItem](), item: true, sent: true},
		{name: "ItemPage", fields: reflect.TypeFor[openai.ItemPage](), sent: true},
		{name: "DeletedResponse", fields: reflect.TypeFor[openai.DeletedResponse](), sent: true},
		{name: "Capabilities", fields: reflect.TypeFor[capabilitiesBody](), sent: true},
	} {
		var known, always []string
		if test.item {
			known, always = []string{"type"}, []string{"type"}
		}
		for _, field := range reflect.VisibleFields(test.fields) {
			if field.Anonymous {
				continue
			}
			name, more, _ := strings.Cut(field.Tag.Get("json"), ",")
			known = append(known, name)
			if more == "" {
				always = append(always, name)
			}
		}
		schema := description.Components.Schemas[test.name]
		for _, name := range known {
			if _, ok := schema.Properties[name]; !ok {
				t.Errorf("%s of openapi.json has no %s", test.name, name)
			}
		}
		for name := range schema.Properties {
			if !slices.Contains(known, name) {
				t.Errorf("%s of openapi.json has %s, which nothing in Go has", test.name, name)
			}
		}
		for _, name := range known {
			if want := slices.Contains(always, name); test.sent && slices.Contains(schema.Required, name) != want {
				t.Errorf("%s.%s is required: %v, want %v", test.name, name, !want, want)
			}
		}
	}
}
