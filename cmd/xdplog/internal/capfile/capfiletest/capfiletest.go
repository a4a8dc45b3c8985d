// Package capfiletest makes capture files for tests.
package capfiletest

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Datagram is Ethernet, IPv4 and UDP from 192.0.2.1 and a port to 192.0.2.2:53.
func Datagram(port int) []byte {
	return []byte{
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
		byte(port >> 8), byte(port), 0, 53, 0, 8, 0, 0,
	}
}

// At is the time of a recorded packet: nanoseconds are kept where the
// file has them.
func At(i int) time.Time { return time.Unix(1_700_000_000, int64(i)*1000+7) }

// Info is of the packet with a number, and these bytes.
func Info(i int, data []byte) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: At(i), CaptureLength: len(data), Length: len(data)}
}

// Pcap is a file of n datagrams from ports 1000, 1001 and so on.
func Pcap(t testing.TB, n int, format func(*bytes.Buffer) *pcapgo.Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	writer := format(&b)
	if err := writer.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := writer.WritePacket(Info(i, Datagram(1000+i)), Datagram(1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// Micros and Nanos are the two forms of pcap, by the unit of their times.
func Micros(b *bytes.Buffer) *pcapgo.Writer { return pcapgo.NewWriter(b) }
func Nanos(b *bytes.Buffer) *pcapgo.Writer  { return pcapgo.NewWriterNanos(b) }

// BigEndian is a pcap file as a machine of the other byte order writes it.
func BigEndian(file []byte) []byte {
	b := bytes.Clone(file)
	swap := func(at, size int) {
		for i, j := at, at+size-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	for _, field := range [][2]int{{0, 4}, {4, 2}, {6, 2}, {8, 4}, {12, 4}, {16, 4}, {20, 4}} {
		swap(field[0], field[1])
	}
	for at := 24; at < len(b); {
		length := int(binary.LittleEndian.Uint32(file[at+8:]))
		for i := range 4 {
			swap(at+4*i, 4)
		}
		at += 16 + length
	}
	return b
}
