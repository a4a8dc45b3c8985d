package ipfix

import (
	"fmt"
	"net"
	"time"
)

// datagrams sends each message as one.
type datagrams struct {
	exporter *Exporter
	conn     net.Conn
	session
	last  time.Time // when templates were sent
	sent  sums      // in the last message, of which we may yet be told that nobody took it
	away  bool      // nobody listens, as far as we know
	burst int       // of messages since a pause
}

// A burst is what a socket's usual receive buffer holds twice over: so many messages and a
// pause are some 200,000 flows a second.
const (
	burst = 16
	pause = time.Millisecond
)

// tick sends templates where they are due: also where somebody has refused messages, for who
// comes in his place knows none.
func (d *datagrams) tick(now time.Time) {
	switch {
	case d.last.IsZero():
	case now.Sub(d.last) < d.exporter.options.Templates:
		return
	default:
		d.away = false // nobody has refused anything for so long
	}
	for range 2 {
		d.last = now
		if d.teach(d.exporter, now, func(b []byte) bool { return d.write(b, sums{}) == nil }) {
			return
		}
	}
}

// send sends a message. A refusal is the answer to one before: this one is tried once more.
func (d *datagrams) send(m *message) {
	now := time.Now()
	var err error
	for range 2 {
		d.tick(now)
		complete(m.b, now, d.sequence, d.exporter.options.Domain)
		if err = d.write(m.b, m.sums); err == nil || !isRefused(err) {
			break
		}
	}
	if err == nil {
		d.sequence += uint32(m.sums.flows)
	}
	d.exporter.over(m, err == nil)
	if d.burst++; d.burst == burst {
		d.burst = 0
		time.Sleep(pause)
	}
}

func (d *datagrams) write(b []byte, of sums) error {
	_, err := d.conn.Write(b)
	switch {
	case err == nil:
		d.exporter.wrote(len(b))
		d.sent = of
	case isRefused(err):
		d.refused(err)
	default:
		d.gone(err)
	}
	return err
}

// refused takes note of an answer to the last message.
func (d *datagrams) refused(err error) {
	d.exporter.refused(d.sent)
	d.sent = sums{}
	d.last = time.Time{} // who comes next knows no templates
	d.gone(err)
}

func (d *datagrams) gone(err error) {
	if !d.away {
		d.exporter.options.Say(fmt.Sprintf("the collector %s does not take flows: %v", d.exporter.options.Target, cause(err)))
	}
	d.away = true
}

// answer is how long ICMP may take to come back at the end.
const answer = 50 * time.Millisecond

func (d *datagrams) close() {
	d.conn.SetReadDeadline(time.Now().Add(answer))
	if _, err := d.conn.Read(make([]byte, 1)); err != nil && isRefused(err) {
		d.refused(err)
	}
	d.conn.Close()
}
