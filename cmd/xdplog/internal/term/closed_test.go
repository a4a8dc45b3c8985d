package term

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWatchClosed has a pipe's reader leave, and a watch end before that.
func TestWatchClosed(t *testing.T) {
	for _, leave := range []bool{true, false} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		defer write.Close()
		closed, stop := WatchClosed(nil, write)
		if leave {
			read.Close()
			if err := <-closed; !IsClosed(err) || OrClosed(err) != nil {
				t.Errorf("the reader left: %v", err)
			}
		}
		stop()
		select {
		case err := <-closed:
			t.Errorf("behind the end: %v", err)
		default:
		}
	}
	if err := OrClosed(syscall.ENOSPC); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("another error became %v", err)
	}
}

// TestTakeBack leaves alone what others have written behind.
func TestTakeBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	for _, c := range []struct{ others, want string }{{"", "whole\n"}, {"theirs", "whole\nhalftheirs"}} {
		file, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		file.WriteString("whole\nhalf")
		file.WriteAt([]byte(c.others), int64(len("whole\nhalf")))
		TakeBack(file, len("half"))
		if got, err := os.ReadFile(name); err != nil || string(got) != c.want {
			t.Errorf("%q is left, %v, want %q", got, err, c.want)
		}
	}
}
