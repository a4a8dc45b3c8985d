package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// tcpdumpVLAN is what tcpdump -e says of a tag.
var tcpdumpVLAN = regexp.MustCompile(`\bvlan (\d+),`)

// TestTagsAsTcpdump: tags are those that tcpdump says on the same interface at the same time, and
// in the same order, and the two files have the same frames; wherever the tags are, and
// wherever the program is, but where the first line says that they are not seen.
func TestTagsAsTcpdump(t *testing.T) {
	if !have(t, "tcpdump") {
		return
	}
	var frames [][]byte
	payload := func(behind ...gopacket.SerializableLayer) []byte {
		return frame(append(behind, ipv4(protoUDP), udp(1234, 53), gopacket.Payload("a payload of some length"))...)
	}
	frames = append(frames,
		payload(ethernet(eth4)),
		payload(ethernet(dot1q), vlan(20, eth4)),
		payload(ethernet(qinq), vlan(30, eth4)),
		payload(ethernet(qinq), vlan(20, dot1q), vlan(10, eth4)),
		payload(ethernet(dot1q), vlan(20, dot1q), vlan(10, eth4)),
		payload(ethernet(qinq), vlan(20, qinq), vlan(4094, eth4)),
	)
	for _, beside := range []bool{false, true} {
		for _, place := range [][]string{{"--mode", "native"}, {"--place", "tc"}} {
			t.Run(fmt.Sprint("beside ", beside, " ", place), func(t *testing.T) {
				lab := newLab(t)
				if beside {
					lab.tagsBeside(t)
				}
				theirs := filepath.Join(t.TempDir(), "theirs.pcap")
				tcpdump := launch(t, lab.right, exec.Command("tcpdump", "-n", "-U", "--immediate-mode", "-c", fmt.Sprint(len(frames)+1), "-i", right(0), "-w", theirs, fmt.Sprintf("port %d or port 53 or vlan", markerPort)))
				tcpdump.read()
				if !tcpdump.stderr.await(listening) {
					t.Fatalf("tcpdump says\n%s", &tcpdump.stderr)
				}
				ours := filepath.Join(t.TempDir(), "ours.pcapng")
				capture := lab.xdplog(t, append([]string{"-w", ours, fmt.Sprintf("port %d or port 53", markerPort)}, place...)...)
				if strings.Contains(capture.stderr.String(), hidden) {
					capture.stop(t)
					lab.needTags(t)
					t.Errorf("it says\n%s", &capture.stderr)
				}
				lab.send(t, append(frames, marker())...)
				events := capture.untilMarker(t)
				capture.stop(t)
				tcpdump.wait(t) // which has as many
				if len(events) != len(frames) {
					t.Fatalf("%d events, want %d: %v", len(events), len(frames), events)
				}
				words, err := exec.Command("tcpdump", "-e", "-n", "-r", theirs).Output()
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSpace(string(words)), "\n")
				if len(lines) != len(frames)+1 {
					t.Fatalf("tcpdump has %d packets, want %d\n%s", len(lines), len(frames)+1, words)
				}
				for i, e := range events {
					var ids []string
					for _, tag := range tcpdumpVLAN.FindAllStringSubmatch(lines[i], -1) {
						ids = append(ids, tag[1])
					}
					if want := `"vlan":[` + strings.Join(ids, ",") + "]"; strings.Contains(e.text, want) != (len(ids) > 0) || strings.Contains(e.text, "vlan") != (len(ids) > 0) {
						t.Errorf("xdplog: %s\ntcpdump: %s", e.text, lines[i])
					}
				}
				mine := readRecordingFile(t, ours)
				file, err := os.Open(theirs)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				their, err := pcapgo.NewReader(file)
				if err != nil {
					t.Fatal(err)
				}
				for i := range frames {
					want, _, err := their.ReadPacketData()
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(mine.packets[i].data, want) || !bytes.Equal(want, frames[i]) {
						t.Errorf("sent    %x\nxdplog  %x\ntcpdump %x", frames[i], mine.packets[i].data, want)
					}
				}
			})
		}
	}
}
