package notify

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestSend(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@xdplog-test-%d", os.Getpid())} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		for _, state := range []string{Ready, Stopping} {
			if err := Send(name, state); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, err := socket.Read(b)
			if err != nil || string(b[:n]) != state {
				t.Errorf("%s got %q, %v, want %q", name, b[:n], err, state)
			}
		}
	}
}

func TestSendToNobody(t *testing.T) {
	if err := Send("", Ready); err != nil {
		t.Error(err)
	}
	if err := Send(filepath.Join(t.TempDir(), "nothing"), Ready); err == nil {
		t.Error("no error where nobody listens")
	}
}
