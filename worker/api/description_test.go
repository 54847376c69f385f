package api_test

import (
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"hermes/worker/api"
)

// description is openapi.json as the server sends it.
type description struct {
	raw     map[string]any
	schemas map[string]any // of components, made strict

	mu       sync.Mutex // guards resolved
	resolved map[string]*jsonschema.Resolved
}

const schemaPrefix = "#/components/schemas/"

func describe(t *testing.T, server *api.Server) *description {
	t.Helper()
	got := call(t, server, "GET", "/openapi.json", "", "Authorization: ")
	d := &description{resolved: map[string]*jsonschema.Resolved{}}
	if err := json.Unmarshal([]byte(got.body), &d.raw); err != nil || got.status != 200 {
		t.Fatalf("got %d: %v", got.status, err)
	}
	d.schemas, _ = at(d.raw, "components", "schemas").(map[string]any)
	for name, schema := range d.schemas {
		d.schemas[name] = strict(schema)
	}
	return d
}

// at follows names into nested objects.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// strict returns a schema that takes no field which it does not name. Clients
// must not rely on that; here it finds what is sent and not described. It also
// makes references point to definitions.
func strict(schema any) any {
	switch schema := schema.(type) {
	case map[string]any:
		made := map[string]any{}
		for key, value := range schema {
			if reference, ok := value.(string); ok && key == "$ref" {
				value = strings.Replace(reference, schemaPrefix, "#/$defs/", 1)
			}
			made[key] = strict(value)
		}
		if _, object := schema["properties"].(map[string]any); object && schema["type"] != nil && schema["additionalProperties"] == nil {
			made["additionalProperties"] = false
		}
		return made
	case []any:
		made := make([]any, len(schema))
		for i, value := range schema {
			made[i] = strict(value)
		}
		return made
	default:
		return schema
	}
}

// check validates a JSON text against a schema of the description.
func (d *description) check(t *testing.T, schema any, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	if err := d.validator(t, schema).Validate(value); err != nil {
		t.Errorf("this is not as openapi.json says: %v\n%s", err, text)
	}
}

// validator makes what checks values of a schema. It takes long, so that each is
// made once.
func (d *description) validator(t *testing.T, schema any) *jsonschema.Resolved {
	t.Helper()
	name, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if made := d.resolved[string(name)]; made != nil {
		return made
	}
	encoded, err := json.Marshal(map[string]any{"$defs": d.schemas, "allOf": []any{strict(schema)}})
	if err != nil {
		t.Fatal(err)
	}
	var root jsonschema.Schema
	if err := json.Unmarshal(encoded, &root); err != nil {
		t.Fatalf("the description holds no valid schema: %v", err)
	}
	made, err := root.Resolve(nil)
	if err != nil {
		t.Fatalf("the description holds no valid schema: %v", err)
	}
	d.resolved[string(name)] = made
	return made
}

// resolve follows a reference, if there is one.
func (d *description) resolve(value any) any {
	if reference, ok := at(value, "$ref").(string); ok {
		return at(d.raw, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
	}
	return value
}

// checkAnswer wants an answer's status, media type, headers and body to be what
// the description has for an operation.
func (d *description) checkAnswer(t *testing.T, path, method string, got answer) {
	t.Helper()
	response := d.resolve(at(d.raw, "paths", path, strings.ToLower(method), "responses", strconv.Itoa(got.status)))
	if response == nil {
		t.Fatalf("%s %s has no answer with status %d: %s", method, path, got.status, got.body)
	}
	kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	content := at(response, "content", kind)
	if err != nil || content == nil {
		t.Fatalf("%s %s has no answer %d of type %q", method, path, got.status, kind)
	}
	for _, name := range []string{"Retry-After", "X-Should-Retry", "WWW-Authenticate", "Idempotency-Replayed"} {
		if value := got.header.Get(name); value != "" && at(response, "headers", name) == nil {
			t.Errorf("%s %s has no header %s in the answer %d, and %q was sent", method, path, name, got.status, value)
		}
	}
	switch kind {
	case "application/json":
		d.check(t, at(content, "schema"), got.body)
	case "text/event-stream":
		for _, event := range dataLines(got.body) {
			d.check(t, at(content, "schema"), event)
		}
	}
}

// dataLines returns the data of all events but the last, [DONE].
func dataLines(stream string) []string {
	var all []string
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && data != "[DONE]" {
			all = append(all, data)
		}
	}
	return all
}
