package openaichat

import (
	"encoding/json"

	"hermes/worker/llm/upstream"
)

// details gathers OpenRouter's reasoning_details: a list of objects of which a
// stream sends pieces, and which the provider wants back whole and in order.
type details []map[string]json.RawMessage

// add takes in the list of one chunk, and returns what is readable in it, as
// JSON string literals.
func (d *details) add(raw json.RawMessage) [][]byte {
	var list []map[string]json.RawMessage
	if upstream.Absent(raw) || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var readable [][]byte
	for _, detail := range list {
		for _, key := range []string{"text", "summary"} {
			if upstream.IsText(detail[key]) {
				readable = append(readable, detail[key])
			}
		}
		if last := len(*d) - 1; last >= 0 && continues((*d)[last], detail) {
			merge((*d)[last], detail)
		} else {
			*d = append(*d, detail)
		}
	}
	return readable
}

// continues reports whether a detail is a further piece of the one before it.
// Encrypted details are never in pieces.
func continues(before, detail map[string]json.RawMessage) bool {
	kind := upstream.Str(detail["type"])
	return kind == upstream.Str(before["type"]) && (kind == "reasoning.text" || kind == "reasoning.summary") &&
		upstream.Str(detail["index"]) == upstream.Str(before["index"])
}

// merge joins texts, and takes over whatever else the piece has to say.
func merge(into, detail map[string]json.RawMessage) {
	for key, value := range detail {
		switch {
		case upstream.Absent(value):
		case (key == "text" || key == "summary") && len(into[key]) > 1 && into[key][0] == '"' && value[0] == '"':
			into[key] = append(into[key][:len(into[key])-1], value[1:]...)
		default:
			into[key] = value
		}
	}
}

// json returns the whole list, nil when it is empty.
func (d *details) json() json.RawMessage {
	if len(*d) == 0 {
		return nil
	}
	raw, err := json.Marshal([]map[string]json.RawMessage(*d))
	if err != nil {
		return nil
	}
	return raw
}
