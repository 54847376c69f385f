package configs

import (
	"maps"
	"slices"
	"strings"
)

// values lists every setting with its source: the table first, then the
// variables.
func (l *loader) values(config Config) []Value {
	values := make([]Value, 0, len(l.keys)+len(l.env))
	for _, k := range l.keys {
		value := Value{Key: k.Key, Env: k.Env, Value: k.Default, Source: "default", Secret: k.Secret}
		if chosen, set := l.chosen[k.Key]; set {
			value.Value, value.Source = chosen.text, chosen.place()
			if items, isList := chosen.value.([]string); isList {
				value.Value = strings.Join(items, ",")
			}
		} else if k.Kind == ModelName {
			value.Value = config.APIServer.ModelName
		}
		if k.Secret {
			value.Raw = config.APIServer.Key
			value.Value = value.Raw.String()
		}
		values = append(values, value)
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		v := l.env[name]
		values = append(values, Value{
			Key: name, Env: name, Value: v.value.String(), Source: v.source, Secret: true, Raw: v.value,
		})
	}
	return values
}

// Lookup returns the setting or variable named key as it is in effect. An
// unknown key is an *InputError with the nearest names; a variable that is not
// set is one too.
func Lookup(l Loaded, key string) (Value, error) {
	key = strings.TrimPrefix(key, platforms+".")
	for _, value := range l.Values {
		if value.Key == key || (value.Env != "" && value.Env == key) {
			return value, nil
		}
	}
	name, err := classify(key)
	if err != nil {
		return Value{}, err
	}
	return Value{}, &InputError{Key: key, Text: "not set; set it with `hermes config set " + name.name + " …`"}
}
