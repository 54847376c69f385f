package configs

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// writeYAML draws a config.yaml as a person may write it.
func writeYAML(t *rapid.T) string {
	eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
	var b strings.Builder
	noise := func(indent string) {
		for range rapid.IntRange(0, 2).Draw(t, "noise") {
			b.WriteString(rapid.SampledFrom([]string{"", indent + "# a: b", "# 'note\" [", indent + "#x", "   "}).Draw(t, "noise line") + eol)
		}
	}
	noise("")
	sections := rapid.Permutation([]string{"api_server", "model", "agent", "limits", "terminal"}).Draw(t, "sections")
	for _, section := range sections[:rapid.IntRange(0, len(sections)).Draw(t, "how many")] {
		indent := strings.Repeat(" ", rapid.IntRange(1, 4).Draw(t, "indent"))
		flow := rapid.Bool().Draw(t, "flow")
		b.WriteString(section + ":")
		var entries []string
		for _, k := range Keys() {
			if k.Section() != section || k.Secret || rapid.Bool().Draw(t, "left out") {
				continue
			}
			entries = append(entries, k.Leaf()+": "+writeValue(t, k))
		}
		if flow {
			b.WriteString(" {" + strings.Join(entries, ", ") + "}" + rapid.SampledFrom([]string{"", "  # c"}).Draw(t, "comment") + eol)
			continue
		}
		b.WriteString(eol)
		for _, entry := range entries {
			noise(indent)
			b.WriteString(indent + entry + rapid.SampledFrom([]string{"", " # why: not", "   "}).Draw(t, "tail") + eol)
		}
		noise(indent)
	}
	return strings.TrimSuffix(b.String(), rapid.SampledFrom([]string{"", eol}).Draw(t, "cut"))
}

func writeValue(t *rapid.T, k Key) string {
	value := drawValue(t, k)
	if k.Kind.list() {
		return "[" + value + "]"
	}
	quote := rapid.SampledFrom([]string{"", "'", `"`}).Draw(t, "quote")
	if quote == "" && k.wantsText() {
		return yamlText(value, 0)
	}
	return quote + value + quote
}

// drawValue draws a valid value of a row, without quotes or backslashes.
func drawValue(t *rapid.T, k Key) string {
	switch k.Kind {
	case Bool:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case Int, Port:
		return strconv.FormatInt(within(k, rapid.SampledFrom([]int64{16, 999}).Draw(t, "int")), 10)
	case Size:
		return rapid.SampledFrom([]string{"64MiB", "100000000"}).Draw(t, "size")
	case Duration:
		return time.Duration(within(k, int64(rapid.SampledFrom([]time.Duration{5 * time.Second, 150 * time.Second, time.Hour}).Draw(t, "duration")))).String()
	case Enum, Words:
		return rapid.SampledFrom(k.Allowed).Draw(t, "word")
	case URL:
		return rapid.SampledFrom([]string{"https://a.example/v1", "http://[::1]:99"}).Draw(t, "URL")
	case Host:
		return rapid.SampledFrom([]string{"::1", "127.0.0.1", "box.lan"}).Draw(t, "host")
	case Address:
		return rapid.SampledFrom([]string{"127.0.0.1:9642", "[::1]:1", "localhost:65535"}).Draw(t, "address")
	case Origins:
		return rapid.SampledFrom([]string{"https://a.example", "http://localhost:3000"}).Draw(t, "origin")
	case Places:
		return rapid.SampledFrom([]string{"10.1.0.0/16", "wiki.lan:8080", "box"}).Draw(t, "place")
	case Hosts:
		return rapid.SampledFrom([]string{"pypi.org", ".github.com"}).Draw(t, "host")
	case Ports:
		return rapid.SampledFrom([]string{"80", "8443"}).Draw(t, "port")
	case Rules:
		return rapid.SampledFrom([]string{"docker *", "git push --force*", "class:packages"}).Draw(t, "rule")
	case EnvName:
		return "SOME_KEY"
	case ModelName:
		return rapid.SampledFrom([]string{"a:b", "123", "x"}).Draw(t, "name")
	default:
		return rapid.StringMatching(`[a-z0-9#:{}\[\],&*!|>%@ ü.-]{0,12}[a-z0-9]`).Filter(func(s string) bool { return strings.TrimSpace(s) == s }).Draw(t, "text")
	}
}

// within is the number nearest to n that a row takes.
func within(k Key, n int64) int64 {
	if k.Max > 0 {
		n = min(n, k.Max)
	}
	return max(n, k.Min)
}

// TestSetYAMLProperty sets a row in a file that is drawn at random: the file then
// says so, and at most one line of it is another one.
func TestSetYAMLProperty(t *testing.T) {
	t.Parallel()
	var rows []Key
	for _, k := range Keys() {
		if !k.Secret && k.Kind != Models && k.Kind != Servers {
			rows = append(rows, k)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		before := writeYAML(t)
		values, problems := readYAML("x", []byte(before))
		if len(problems) > 0 {
			t.Fatalf("the drawn file is bad: %v\n%s", problems, before)
		}
		k := rapid.SampledFrom(rows).Draw(t, "row")
		value := drawValue(t, k)
		data, _, err := setYAML([]byte(before), k, value)
		if err != nil {
			t.Fatalf("set %s to %q: %v\n%s", k.Key, value, err, before)
		}
		after := string(data)
		checkEdit(t, before, after, values, k, value)
		if removed, added := changedLines(before, after); removed > 1 || added > 5 {
			t.Fatalf("set %s to %q changes %d lines to %d\n%s\n---\n%s", k.Key, value, removed, added, before, after)
		}
		back, _, err := unsetYAML(data, k)
		if err != nil {
			t.Fatalf("unset %s: %v\n%s", k.Key, err, after)
		}
		checkEdit(t, before, string(back), values, k, "")
	})
}

// failer is what tests, properties and fuzz targets have in common.
type failer interface {
	Fatalf(format string, args ...any)
}

// checkEdit holds a file after an edit of k against the values before it. An
// empty value means that k was unset.
func checkEdit(t failer, before, after string, values map[string]found, k Key, value string) {
	now, problems := readYAML("x", []byte(after))
	if len(problems) > 0 {
		t.Fatalf("after %s=%q: %v\n%s\n---\n%s", k.Key, value, problems, before, after)
	}
	want := map[string]any{}
	for key, v := range values {
		want[key] = v.value
	}
	delete(want, k.Key)
	if value != "" {
		want[k.Key], _ = k.parse(value)
	}
	got := map[string]any{}
	for key, v := range now {
		got[key] = v.value
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("after %s=%q the values are %v, want %v\n%s\n---\n%s", k.Key, value, got, want, before, after)
	}
	for line := range strings.Lines(before) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") && !strings.Contains(after, trimmed) {
			t.Fatalf("after %s=%q the comment %q is lost\n%s\n---\n%s", k.Key, value, trimmed, before, after)
		}
	}
}

// changedLines counts the lines between the common beginning and the common end
// of two texts.
func changedLines(before, after string) (removed, added int) {
	a := strings.Split(strings.TrimSuffix(before, "\n"), "\n")
	b := strings.Split(strings.TrimSuffix(after, "\n"), "\n")
	for i := range a {
		a[i] = strings.TrimSuffix(a[i], "\r")
	}
	for i := range b {
		b[i] = strings.TrimSuffix(b[i], "\r")
	}
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	slices.Reverse(a)
	slices.Reverse(b)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	return len(a), len(b)
}

// FuzzYAMLSet edits whatever bytes: an edit that succeeds changes the one value
// and nothing else, and an error shows nothing of the file.
func FuzzYAMLSet(f *testing.F) {
	for _, seed := range []string{
		"model:\n  default: x # c\n", "model: {default: x}\n", "agent:\n  tools:\n    - all\n", "# model:\n#   default: x\n", "---\n...\n",
		"api_server: {port: 1}\nplatforms: {api_server: {host: '::1'}}\n", "model:\r\n  default: \"x\"\r\n", "\xef\xbb\xbfmodel:\n", "a: |\n  b\n  # c\nmodel:\n",
		string(ConfigTemplate()),
	} {
		f.Add([]byte(seed), uint8(11), "value")
	}
	keys := Keys()
	f.Fuzz(func(t *testing.T, data []byte, which uint8, value string) {
		k := keys[int(which)%len(keys)]
		if k.Secret || k.Kind == Models || k.Kind == Servers || value == "" {
			return
		}
		if _, err := k.parse(value); err != nil {
			return
		}
		after, line, err := setYAML(data, k, value)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the error has several lines: %v", err)
			}
			return
		}
		if line < 1 {
			t.Fatalf("the line is %d", line)
		}
		values, problems := readYAML("x", data)
		if len(problems) > 0 {
			return // what is wrong stays wrong; the edit has checked the rest
		}
		checkEdit(t, string(data), string(after), values, k, value)
	})
}
