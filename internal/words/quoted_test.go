package words

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func FuzzQuoted(f *testing.F) {
	f.Add("eth0")
	f.Add("a\"\\\x00\x1f\x7f\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendQuoted(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := string([]rune(s)); got != want || !utf8.Valid(b) {
			t.Errorf("%q reads as %q, want %q", b, got, want)
		}
	})
}
