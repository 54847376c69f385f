package configs

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says how a setting is written and what makes it valid.
type Kind string

// The kinds of settings, with the Go type of the value that each gives.
const (
	Bool      Kind = "bool"       // bool: true/yes/on/1 or false/no/off/0
	Int       Kind = "int"        // int64 within Min and Max
	Port      Kind = "port"       // int64
	Duration  Kind = "duration"   // time.Duration: 180s, 5m
	Size      Kind = "size"       // int64 bytes: 512MiB, 10MB or a plain number
	Enum      Kind = "choice"     // string, one of Allowed
	Text      Kind = "text"       // string of one line
	URL       Kind = "URL"        // string: http or https, no credentials, no slash at the end
	Host      Kind = "host"       // string: IP address or host name
	Address   Kind = "address"    // string: host and port
	ModelName Kind = "name"       // string that is safe in JSON, URLs and lists
	EnvName   Kind = "variable"   // string: name of an environment variable
	Token     Kind = "secret"     // Secret
	Origins   Kind = "origins"    // []string of exact browser origins
	Words     Kind = "words"      // []string, each one of Allowed
	Places    Kind = "places"     // []string of CIDR ranges, hosts and hosts with a port
	Hosts     Kind = "hosts"      // []string of hosts, and .host for all below one
	Ports     Kind = "ports"      // []string of ports
	Rules     Kind = "rules"      // []string, each a rule about commands
	Models    Kind = "model list" // []Model, edited by hand only
	Servers   Kind = "server map" // []MCPServer, edited by hand only
)

// list reports whether the kind holds several values.
func (k Kind) list() bool {
	return k == Origins || k == Words || k == Places || k == Hosts || k == Ports || k == Rules
}

// maxText bounds every text value, in bytes: enough for any URL, key or list
// that a person sets, and short enough for one line.
const maxText = 4096

// maxName bounds the name of a model or a variable. The patterns do not: a counted
// repetition is compiled to as many instructions, in every process that starts.
const maxName = 128

var (
	modelNamePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$`)
	})
	envNamePattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	})
)

var errControl = errors.New("the value has a line break or another control character; write it in one line")

// parse makes a value of the text that a user wrote for k. Its errors are
// sentences that go on after "KEY: ", and hold no secret.
func (k Key) parse(text string) (any, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the value is longer than %d bytes", maxText)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("the value is not UTF-8 text")
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errControl
	}
	switch k.Kind {
	case Bool:
		return parseBool(text)
	case Int, Port:
		return k.parseInt(text)
	case Duration:
		return k.parseDuration(text)
	case Size:
		return k.parseSize(text)
	case Enum:
		return k.parseEnum(text)
	case Text:
		return parseText(text)
	case URL:
		return parseURL(text)
	case Host:
		return parseHost(text)
	case Address:
		return parseAddress(text)
	case ModelName:
		if text != "" && (len(text) > maxName || !modelNamePattern().MatchString(text)) {
			return nil, fmt.Errorf("%s is no model name; use up to 128 letters, digits and . _ : / @ + -, beginning with a letter or digit", quote(text))
		}
		return text, nil
	case EnvName:
		return parseEnvName(text)
	case Token:
		return parseToken(text)
	case Origins:
		return parseOrigins(splitList(text))
	case Words:
		return k.parseWords(splitList(text))
	case Places:
		return parsePlaces(splitList(text))
	case Hosts:
		return parseHosts(splitList(text))
	case Ports:
		return parsePorts(splitList(text))
	case Rules:
		return parseRules(splitList(text))
	case Models, Servers:
		return nil, errors.New("this list is edited by hand; `hermes config edit` opens the file")
	}
	return nil, fmt.Errorf("settings of kind %s cannot be read", k.Kind)
}

func parseBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%s is neither true nor false", quote(text))
}

func (k Key) parseInt(text string) (any, error) {
	if k.Kind == Port && strings.Contains(text, "://") {
		// Kubernetes sets API_SERVER_PORT=tcp://… in every pod when a service is
		// named api-server.
		return nil, fmt.Errorf("%s is an address, not a port; Kubernetes sets this variable for a service named api-server: "+
			"set enableServiceLinks: false in the pod", quote(text))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		what := "whole number"
		if k.Kind == Port {
			what = "port"
		}
		return nil, fmt.Errorf("%s is no %s; use %s", quote(text), what, k.Range())
	}
	if n < k.Min || n > k.Max {
		return nil, fmt.Errorf("%s is out of range; use %s", quote(text), k.Range())
	}
	return n, nil
}

func (k Key) parseDuration(text string) (any, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no duration; write a number with its unit, such as 180s or 5m", quote(text))
	}
	if int64(d) < k.Min || int64(d) > k.Max {
		return nil, fmt.Errorf("%s is out of range; use %s", quote(text), k.Range())
	}
	return d, nil
}

// sizeUnits are the units of byte sizes. Decimal and binary units are told apart;
// a bare K or M is refused because half of its readers mean the other.
func sizeUnits() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{
		{"KIB", 1 << 10},
		{"MIB", mebibyte},
		{"GIB", gibibyte},
		{"TIB", 1 << 40},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
		{"", 1},
	}
}

func (k Key) parseSize(text string) (any, error) {
	bad := fmt.Errorf("%s is no size; write bytes as a plain number, or with a unit such as 512MiB or 10MB", quote(text))
	upper := strings.ToUpper(text)
	digits := strings.TrimRight(upper, "BIKMGT ")
	unit := strings.TrimSpace(upper[len(digits):])
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 0 {
		return nil, bad
	}
	for _, u := range sizeUnits() {
		if u.name != unit {
			continue
		}
		if number > math.MaxInt64/u.bytes {
			return nil, fmt.Errorf("%s is out of range; use %s", quote(text), k.Range())
		}
		number *= u.bytes
		if number < k.Min || number > k.Max {
			return nil, fmt.Errorf("%s is out of range; use %s", quote(text), k.Range())
		}
		return number, nil
	}
	return nil, bad
}

func (k Key) parseEnum(text string) (any, error) {
	if slices.Contains(k.Allowed, text) {
		return text, nil
	}
	return nil, fmt.Errorf("%s is not among the values; use %s", quote(text), joinOr(k.Allowed))
}

func parseText(text string) (any, error) {
	if strings.TrimSpace(text) != text {
		return nil, fmt.Errorf("%s begins or ends with a space", quote(text))
	}
	return text, nil
}

func parseEnvName(text string) (any, error) {
	switch {
	case text == "":
		return text, nil
	case len(text) > maxName || !envNamePattern().MatchString(text):
		// Not quoted: what stands here by mistake is often the key itself.
		return nil, errors.New("this is no name of a variable; write a name such as OPENAI_API_KEY here, and put the key itself " +
			"into .env with `hermes config set OPENAI_API_KEY …`")
	case strings.HasPrefix(text, serverPrefix):
		return nil, fmt.Errorf("%s is a setting of this server and must not be sent to a provider; name another variable", text)
	}
	return text, nil
}

// maxToken bounds keys, in bytes: a request header has to hold one.
const maxToken = 1024

func parseToken(text string) (any, error) {
	if len(text) > maxToken {
		return nil, fmt.Errorf("the key is longer than %d bytes", maxToken)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the key has a space or a character outside ASCII, which a request header cannot carry; " +
			"use letters, digits and punctuation")
	}
	return NewSecret(text), nil
}

func (k Key) parseWords(words []string) (any, error) {
	for i, word := range words {
		switch {
		case !slices.Contains(k.Allowed, word):
			return nil, fmt.Errorf("%s is not among the values; use %s", quote(word), joinOr(k.Allowed))
		case slices.Contains(words[:i], word):
			return nil, fmt.Errorf("%s stands twice", quote(word))
		case word == "all" && len(words) > 1:
			return nil, errors.New("`all` stands alone; leave the other names out")
		}
	}
	return words, nil
}

// splitList reads a list that is written in one line: a, b or [a, b].
func splitList(text string) []string {
	text = strings.TrimSpace(text)
	if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]")
	}
	items := []string{}
	for item := range strings.SplitSeq(text, ",") {
		item = strings.Trim(strings.TrimSpace(item), `"'`)
		if item != "" {
			items = append(items, item)
		}
	}
	return items
}

// Range says in words what values a row of numbers takes, such as "1 to 65535";
// "" for other kinds.
func (k Key) Range() string {
	switch k.Kind {
	case Int, Port:
		return fmt.Sprintf("%d to %d", k.Min, k.Max)
	case Size:
		return formatSize(k.Min) + " to " + formatSize(k.Max)
	case Duration:
		return formatDuration(time.Duration(k.Min)) + " to " + formatDuration(time.Duration(k.Max))
	default:
		return ""
	}
}

// formatSize writes bytes with the largest binary unit that divides them.
func formatSize(bytes int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for bytes != 0 && bytes%1024 == 0 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	return strconv.FormatInt(bytes, 10) + units[i]
}

// formatDuration writes a duration in its largest whole unit: 180s is 3m.
func formatDuration(d time.Duration) string {
	switch {
	case d != 0 && d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d != 0 && d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	default:
		return d.String()
	}
}

// quote shows a value in an error: escaped, and cut so that a pasted file does
// not flood the terminal.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(text, "?"))
}
