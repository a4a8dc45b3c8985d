// Package notify tells the service manager that started this process what it is at, by
// the protocol of sd_notify(3): a datagram to a socket that it names.
//
// It imports the standard library alone.
package notify

import (
	"fmt"
	"net"
)

// Socket is the variable of the environment in which the service manager names its socket.
const Socket = "NOTIFY_SOCKET"

// What there is to say.
const (
	Ready    = "READY=1"    // the service does what it is for
	Stopping = "STOPPING=1" // it has begun to end
)

// Send sends a state to a socket: a path, or behind "@" a name in the abstract
// namespace. Where there is no socket, nobody wants to know.
func Send(socket, state string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
