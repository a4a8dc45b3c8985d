package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNotify has a service manager's sockets told when the program is on the interface, and
// when the end has begun; and not a word where nothing was attached.
func TestNotify(t *testing.T) {
	lab := newLab(t)
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@xdplog-e2e-%d", os.Getpid())} {
		var socket *net.UnixConn
		err := lab.right.do(func() (err error) { // a name is one of a network namespace
			socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		next := func() string {
			t.Helper()
			b := make([]byte, 100)
			socket.SetReadDeadline(time.Now().Add(timeout))
			n, err := socket.Read(b)
			if err != nil {
				t.Fatalf("nothing said: %v", err)
			}
			return string(b[:n])
		}

		failing := command("-i", "nosuch0")
		failing.Env = append(os.Environ(), "NOTIFY_SOCKET="+name)
		launch(t, lab.right, failing).read().complains(t, 1, "nosuch0")

		cmd := command("-i", right(0), "-o", "json")
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+name)
		capture := launch(t, lab.right, cmd).read()
		if said := next(); said != "READY=1" {
			t.Errorf("first it says %q", said)
		}
		lab.wantProgram(t, "native")
		capture.stop(t)
		if said := next(); said != "STOPPING=1" {
			t.Errorf("at the end it says %q", said)
		}
		lab.wantNoProgram(t)
	}
}
