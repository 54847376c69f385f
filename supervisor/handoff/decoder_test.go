package handoff

import (
	"errors"
	"strings"
	"testing"
)

func FuzzDecoder(f *testing.F) {
	f.Add([]byte(`{"kind":"ready"}` + "\n" + `{"kind":"busy","busy":3}` + "\n"))
	f.Add([]byte(`{"kind":"start","start":{"version":1,"profile":"a"}}` + "\n{"))
	f.Add([]byte(`{"kind":"walls","walls":{"level":"WEAK","why":"x"}}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages := NewDecoder(strings.NewReader(string(data)))
		for range len(data) + 1 {
			m, err := messages.Decode()
			if err != nil {
				return
			}
			if m.Kind == "" || m.Busy < 0 || (m.Kind == KindStart && m.Start == nil) {
				t.Fatalf("accepted %+v", m)
			}
			var out strings.Builder
			if err := Encode(&out, m); err != nil && !errors.Is(err, ErrTooLong) {
				t.Fatalf("encode what was decoded: %v", err)
			}
		}
		t.Fatal("more messages than bytes")
	})
}
