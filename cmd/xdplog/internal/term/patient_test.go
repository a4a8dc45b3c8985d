package term

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// blocked takes nothing until it is opened.
type blocked chan struct{}

func (w blocked) Write(b []byte) (int, error) {
	<-w
	return len(b), nil
}

func TestPatientWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := make(blocked)
		w := NewPatientWriter(to)
		start := time.Now()
		for range 2 { // the second one is refused at once
			if _, err := w.Write([]byte("x")); !errors.Is(err, ErrStuck) {
				t.Errorf("got %v, want %v", err, ErrStuck)
			}
		}
		if took := time.Since(start); took != Patience {
			t.Errorf("took %v", took)
		}
		close(to)
		synctest.Wait()
		if n, err := w.Write([]byte("xyz")); n != 3 || err != nil {
			t.Errorf("got %d, %v once it takes again", n, err)
		}
	})
}
