package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hermes/profiles"
)

// logRecord is one line of a log.
type logRecord struct {
	Time    time.Time
	Level   string
	Message string
	Profile profiles.Name
	sorted  time.Time // where it stands among the others
	attrs   []string  // key=value, in the line's order
	raw     []byte
}

// parseRecord reads a line. One that is no JSON object becomes the message.
func parseRecord(profile profiles.Name, line []byte) logRecord {
	record := logRecord{Profile: profile, raw: line, Message: string(line)}
	decoder := json.NewDecoder(bytes.NewReader(line))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return record
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return record
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return record
		}
		text := string(value)
		var unquoted string
		if json.Unmarshal(value, &unquoted) == nil {
			text = unquoted
		}
		switch key {
		case "time":
			record.Time, _ = time.Parse(time.RFC3339Nano, text)
		case "level":
			record.Level = text
		case "msg":
			record.Message = text
		case "profile":
		default:
			if strings.ContainsAny(text, " \t\n\"") {
				text = fmt.Sprintf("%q", text)
			}
			record.attrs = append(record.attrs, fmt.Sprintf("%v=%s", key, text))
		}
	}
	return record
}
