package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A recorded packet is one that was read back from a capture file.
type recorded struct {
	time   time.Time
	length int // that it had
	iface  int // number in the file
	data   []byte
}

// A recording is what a pcapng file holds.
type recording struct {
	packets    []recorded
	interfaces []pcapgo.NgInterface
	cut        bool // it ends in the middle of a block
}

// readRecording reads a pcapng file.
func readRecording(t testing.TB, file []byte) (r recording) {
	t.Helper()
	reader, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatalf("read a pcapng file of %d bytes: %v", len(file), err)
	}
	if application := reader.SectionInfo().Application; !matches(`^xdplog \S+$`, application) {
		t.Errorf("the file says that %q wrote it", application)
	}
	for {
		data, info, err := reader.ReadPacketData()
		if err != nil {
			r.cut = !errors.Is(err, io.EOF)
			break
		}
		r.packets = append(r.packets, recorded{info.Timestamp, info.Length, info.InterfaceIndex, data})
	}
	for i := range reader.NInterfaces() {
		found, err := reader.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		if found.LinkType != layers.LinkTypeEthernet || found.TimestampResolution != 9 {
			t.Errorf("interface %d has link type %v and time resolution %d", i, found.LinkType, found.TimestampResolution)
		}
		r.interfaces = append(r.interfaces, found)
	}
	return r
}

func readRecordingFile(t testing.TB, name string) recording {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return readRecording(t, file)
}

// converters have another program read a pcapng file and write what it
// understood as pcap.
var converters = [][]string{
	{"tcpdump", "-n", "--nano", "-w", "-", "-r"},
	{"tshark", "-n", "-F", "nsecpcap", "-w", "-", "-r"},
}

// wantSame fails the test unless tcpdump and tshark read the same packets from
// the file.
func (r recording) wantSame(t testing.TB, name string) {
	t.Helper()
	for _, converter := range converters {
		if !have(t, converter[0]) {
			continue
		}
		output, err := exec.Command(converter[0], append(converter[1:], name)...).Output()
		if err != nil {
			t.Errorf("%s can't read the file: %v", converter[0], err)
			continue
		}
		reader, err := pcapgo.NewReader(bytes.NewReader(output))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range r.packets {
			data, info, err := reader.ReadPacketData()
			if err != nil {
				t.Errorf("%s reads %d packets, want %d: %v", converter[0], i, len(r.packets), err)
				break
			}
			got := recorded{info.Timestamp, info.Length, want.iface, data}
			if !got.time.Equal(want.time) || got.length != want.length || !bytes.Equal(got.data, want.data) {
				t.Errorf("packet %d: %s reads\n%v\nwant\n%v", i, converter[0], got, want)
			}
		}
		if _, _, err := reader.ReadPacketData(); err != io.EOF {
			t.Errorf("%s reads more than %d packets: %v", converter[0], len(r.packets), err)
		}
	}
}

// have reports whether a program is installed.
func have(t testing.TB, program string) bool {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv(levelEnv) == "required":
		t.Errorf("%s=required, but %s is not installed", levelEnv, program)
	default:
		t.Logf("%s is not installed: not compared with it", program)
	}
	return err == nil
}

// ofSize is a frame of so many bytes that only the tests know what to do with.
func ofSize(size int) []byte {
	f := frame(ethernet(experimental), gopacket.Payload(make([]byte, size-14)))
	for i := 14; i < size; i++ {
		f[i] = byte(i*i + size)
	}
	return f
}
