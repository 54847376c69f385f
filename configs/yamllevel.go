package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// platforms is the section below which api_server may stand as well.
const platforms = "platforms"

// yamlReader walks through a config.yaml and collects what it sets.
type yamlReader struct {
	path     string
	keys     []Key
	values   map[string]found
	problems []Problem
}

// readYAML gives the settings of one config.yaml and everything that is wrong
// with it.
func readYAML(path string, data []byte) (map[string]found, []Problem) {
	r := yamlReader{path: path, keys: Keys(), values: map[string]found{}}
	root, problem := parseYAML(data)
	if problem != nil {
		problem.File = path
		return r.values, []Problem{*problem}
	}
	if root != nil {
		r.section("", "", root)
	}
	return r.values, r.problems
}

func (r *yamlReader) fail(node *yaml.Node, key, text string) {
	r.problems = append(r.problems, Problem{File: r.path, Line: node.Line, Key: key, Text: text})
}

// section reads the mapping at the dotted place written; place is the same
// without the alias.
func (r *yamlReader) section(written, place string, node *yaml.Node) {
	if isNull(node) {
		return // a section whose lines are all commented out
	}
	if node.Kind != yaml.MappingNode {
		r.fail(node, written, fmt.Sprintf("this is %s; write `key: value` lines below it", nodeName(node)))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		r.entry(join(written, key.Value), join(place, key.Value), key, value)
	}
}

func join(place, name string) string {
	if place == "" {
		return name
	}
	return place + "." + name
}

func (r *yamlReader) entry(written, place string, key, value *yaml.Node) {
	switch {
	case strings.Contains(key.Value, "."):
		r.fail(key, "", r.unknown(written))
	case written == platforms:
		r.section(written, platforms, value)
	case place == platforms+".api_server":
		r.section(written, "api_server", value)
	case r.isSection(place):
		r.section(written, place, value)
	default:
		row, known := r.row(place)
		if !known {
			r.fail(key, "", r.unknown(written))
			return
		}
		r.set(row, written, value)
	}
}

func (r *yamlReader) isSection(place string) bool {
	for _, k := range r.keys {
		if k.Section() == place && place != "" {
			return true
		}
	}
	return false
}

func (r *yamlReader) row(place string) (Key, bool) {
	for _, k := range r.keys {
		if k.Key == place {
			return k, true
		}
	}
	return Key{}, false
}

func (r *yamlReader) unknown(written string) string {
	if row, known := r.row(written); known && row.Section() != "" {
		return fmt.Sprintf("write %s as a section `%s:` with the line `%s: …` below it", quote(written), row.Section(), row.Leaf())
	}
	if row, known := find(written); known { // API_SERVER_PORT: 1 in config.yaml
		return fmt.Sprintf("%s belongs into .env; set it with `hermes config set %s …`", row.Env, row.Env)
	}
	return fmt.Sprintf("unknown key %s%s", quote(written), didYouMean(written))
}

func (r *yamlReader) set(row Key, written string, node *yaml.Node) {
	if isNull(node) {
		return // `key:` with nothing after it is not set
	}
	if row.Kind == Servers {
		servers, problems := parseMCPServers(node)
		for _, p := range problems {
			p.File = r.path
			r.problems = append(r.problems, p)
		}
		r.values[row.Key] = found{key: row.Key, value: servers, text: fmt.Sprintf("%d servers", len(servers)), file: r.path, line: node.Line}
		return
	}
	value, text, err := row.parseNode(node)
	if err != nil {
		r.fail(node, written, err.Error())
		return
	}
	entry := found{key: row.Key, value: value, text: text, file: r.path, line: node.Line}
	if first, twice := r.values[row.Key]; twice {
		if !reflect.DeepEqual(first.value, value) {
			r.fail(node, written, fmt.Sprintf("this differs from %s in line %d; keep one of the two", alias(written), first.line))
		}
		return
	}
	r.values[row.Key] = entry
}

// alias is the other name of a key of api_server.
func alias(written string) string {
	if key, found := strings.CutPrefix(written, platforms+"."); found {
		return key
	}
	return platforms + "." + written
}

// parseModels reads fallback_models: a list whose entries have the keys of
// `model`.
func parseModels(node *yaml.Node) ([]Model, error) {
	if node.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("this is %s; write a list whose entries begin with `- provider: …`", nodeName(node))
	}
	const most = 16
	if len(node.Content) > most {
		return nil, fmt.Errorf("the list has %d entries; at most %d are tried", len(node.Content), most)
	}
	models := []Model{}
	for i, entry := range node.Content {
		model, err := parseModel(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d (line %d): %w", i+1, entry.Line, err)
		}
		models = append(models, model)
	}
	return models, nil
}

func parseModel(node *yaml.Node) (Model, error) {
	model := Model{Provider: Auto, Streaming: true}
	if node.Kind != yaml.MappingNode {
		return model, fmt.Errorf("this is %s; write the keys of a model, such as `provider: openai`", nodeName(node))
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, node.Content[i+1]
		row, known := find("model." + name)
		if !known {
			return model, fmt.Errorf("unknown key %s; an entry has the keys of `model`", quote(name))
		}
		if isNull(value) {
			continue
		}
		parsed, _, err := row.parseNode(value)
		if err != nil {
			return model, fmt.Errorf("%s: %w", name, err)
		}
		model.set(name, parsed)
	}
	if model.Provider == Auto && model.BaseURL == "" && model.APIKeyEnv == "" {
		return model, fmt.Errorf("nothing says who serves the model; add `provider:` (%s) or `base_url:`", joinOr(providerNames()[1:]))
	}
	return model, nil
}

// set fills the field that belongs to the last part of a model key.
func (m *Model) set(name string, value any) {
	switch v := value.(type) {
	case string:
		switch name {
		case "provider":
			m.Provider = v
		case "default":
			m.Default = v
		case "base_url":
			m.BaseURL = v
		case "api_key_env":
			m.APIKeyEnv = v
		}
	case int64:
		m.ContextLength = int(v)
	case bool:
		m.Streaming = v
	}
}

// where is "file:line", or the file alone.
func where(file string, line int) string {
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}
