package ipfix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A record is what a collector reads: values by "id", and reverse ones by "-id".
type record map[string]uint64

// A collector decodes messages of one session by RFC 7011 alone: it knows no field but from
// templates. What it misses in a message is an error.
type collector struct {
	templates map[uint16][]string // and lengths
	lengths   map[uint16][]int
	options   map[uint16]bool
	next      map[uint32]uint32 // sequence number that is expected, by domain
	domain    uint32            // of flows
	records   []record          // of flows
	stats     []record          // of options
	messages  int
	taught    int // times that templates came
}

var errShort = errors.New("message is too short")

func (c *collector) read(b []byte) error {
	if len(b) < 16 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return errShort
	}
	if v := binary.BigEndian.Uint16(b); v != 10 {
		return fmt.Errorf("version %d", v)
	}
	domain := binary.BigEndian.Uint32(b[12:])
	if c.next == nil {
		c.next = map[uint32]uint32{}
	}
	if at := binary.BigEndian.Uint32(b[8:]); at != c.next[domain] {
		return fmt.Errorf("sequence number %d of domain %d, want %d", at, domain, c.next[domain])
	}
	if domain != 0 {
		c.domain = domain
	}
	c.messages++
	for b = b[16:]; len(b) > 0; {
		if len(b) < 4 {
			return errShort
		}
		id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if length < 5 || length > len(b) {
			return fmt.Errorf("set %d of %d bytes", id, length)
		}
		if err := c.set(domain, id, b[4:length]); err != nil {
			return err
		}
		b = b[length:]
	}
	return nil
}

func (c *collector) set(domain uint32, id uint16, b []byte) error {
	switch {
	case id == 2 || id == 3:
		if id == 2 {
			c.taught++
		}
		return c.template(id == 3, b)
	case c.templates[id] == nil:
		return fmt.Errorf("no template %d", id)
	}
	for len(b) > 0 {
		r := record{}
		for i, name := range c.templates[id] {
			n := c.lengths[id][i]
			if len(b) < n {
				return errShort
			}
			value := uint64(0)
			for _, digit := range b[:n] { // of an IPv6 address the last 8 bytes
				value = value<<8 | uint64(digit)
			}
			r[name] = value
			b = b[n:]
		}
		c.next[domain]++
		if c.options[id] {
			c.stats = append(c.stats, r)
		} else {
			c.records = append(c.records, r)
		}
	}
	return nil
}

func (c *collector) template(options bool, b []byte) error {
	if c.templates == nil {
		c.templates, c.lengths, c.options = map[uint16][]string{}, map[uint16][]int{}, map[uint16]bool{}
	}
	for len(b) > 0 {
		if len(b) < 6 {
			return errShort
		}
		id, count := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[4:]
		if options {
			b = b[2:]
		}
		c.templates[id], c.lengths[id], c.options[id] = []string{}, nil, options
		for range count {
			if len(b) < 4 {
				return errShort
			}
			field, length := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			name := fmt.Sprint(field)
			b = b[4:]
			if field >= 1<<15 {
				if len(b) < 4 || binary.BigEndian.Uint32(b) != 29305 {
					return errors.New("unknown enterprise")
				}
				name, b = fmt.Sprint("-", field-1<<15), b[4:]
			}
			c.templates[id], c.lengths[id] = append(c.templates[id], name), append(c.lengths[id], int(length))
		}
	}
	return nil
}

// readStream reads messages to the end of a connection.
func (c *collector) readStream(r io.Reader) error {
	for {
		b := make([]byte, 16)
		if _, err := io.ReadFull(r, b); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		b = append(b, make([]byte, binary.BigEndian.Uint16(b[2:])-16)...)
		if _, err := io.ReadFull(r, b[16:]); err != nil {
			return err
		}
		if err := c.read(b); err != nil {
			return err
		}
	}
}

// sums are the packets and the octets of all flows.
func (c *collector) sums() (packets, octets uint64) {
	for _, r := range c.records {
		packets += r["2"] + r["-2"]
		octets += r["352"] + r["-352"]
	}
	return packets, octets
}
