package capfile

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
)

// FuzzCaptureFile reads files of all sorts to their end. Whatever they hold,
// that ends with io.EOF or with one line that names the file, and no packet is
// larger than the file that it is from.
func FuzzCaptureFile(f *testing.F) {
	for _, seed := range captureSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		capture, err := readHeader("f.pcap", bytes.NewReader(file))
		read, packets := 0, 0
		for err == nil {
			packet, readErr := capture.next()
			if err = readErr; err != nil {
				break
			}
			capture.batch.reset()
			capture.batch.add(packet, new(Selection))
			read += len(packet.data)
			packets++
			if len(packet.data) > int(packet.length) {
				t.Errorf("%d bytes of a packet of %d", len(packet.data), packet.length)
			}
			if id := packet.iface; id < 0 || id >= capture.ids {
				t.Errorf("interface %d of %d", id, capture.ids)
			}
		}
		if read > len(file) {
			t.Errorf("%d bytes of packets in a file of %d", read, len(file))
		}
		if quick, quickErr := countQuick(file); quick != packets || quickErr.Error() != err.Error() {
			t.Errorf("%d packets and %v, read ahead %d and %v", packets, err, quick, quickErr)
		}
		if text := err.Error(); err != io.EOF && (!strings.HasPrefix(text, "f.pcap") || strings.Contains(text, "\n")) {
			t.Errorf("error %q, want one line that names the file", text)
		}
	})
}

// countQuick counts the packets of a file as they are read ahead, without the goroutine
// that does it.
func countQuick(file []byte) (packets int, err error) {
	capture, err := readHeader("f.pcap", bytes.NewReader(file))
	var all Selection
	for err == nil {
		capture.format.quick(&capture.scanner, capture, &all)
		packet, readErr := capture.next()
		if err = readErr; err == nil {
			capture.batch.add(packet, &all)
		}
	}
	return int(all.selected), err
}

// captureSeeds are files of each kind, whole and cut.
func captureSeeds(t testing.TB) (seeds [][]byte) {
	t.Helper()
	var ng bytes.Buffer
	w, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface(pcapgo.NgInterface{Name: "eth1", LinkType: layers.LinkTypeEthernet}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		data := capfiletest.Datagram(1000 + i)
		info := capfiletest.Info(i, data)
		info.InterfaceIndex = i % 2
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, whole := range [][]byte{ng.Bytes(), capfiletest.Pcap(t, 2, capfiletest.Micros), capfiletest.BigEndian(capfiletest.Pcap(t, 2, capfiletest.Nanos))} {
		seeds = append(seeds, whole, whole[:len(whole)-7], whole[:20])
	}
	return append(seeds, nil, append(bytes.Clone(ng.Bytes()), ng.Bytes()...))
}
