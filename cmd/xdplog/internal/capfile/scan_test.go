package capfile

import (
	"errors"
	"io"
	"testing"
)

// brokenAfter gives some bytes and an error at once, as unpackers do.
type brokenAfter struct {
	bytes []byte
	err   error
}

func (r *brokenAfter) Read(b []byte) (int, error) {
	n := copy(b, r.bytes)
	r.bytes = r.bytes[n:]
	return n, r.err
}

// TestScannerBroken: what was read with an error comes before the error.
func TestScannerBroken(t *testing.T) {
	broken := errors.New("broken")
	s := scanner{from: &brokenAfter{make([]byte, 100), broken}, fresh: func(n int) []byte { return make([]byte, 0, n) }}
	for range 6 {
		if b, err := s.next(16); len(b) != 16 || err != nil {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	}
	if b, err := s.next(16); !errors.Is(err, broken) {
		t.Errorf("%d bytes, %v behind the last whole piece", len(b), err)
	}
	if _, err := s.next(16); errors.Is(err, io.EOF) || err == nil {
		t.Errorf("and then %v", err)
	}
}
