package upstream

import (
	"encoding/json"
	"testing"
)

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c\n\r\t\x00\x1f", "ä😀\u2028<&>", "\xff\xc3(", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		literal := AppendQuoted(nil, s)
		var got, want string
		if err := json.Unmarshal(literal, &got); err != nil {
			t.Fatalf("%q is no JSON string: %v", literal, err)
		}
		plain, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(plain, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%q comes back as %q", want, got)
		}
	})
}
