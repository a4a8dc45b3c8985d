package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
)

// talks is a capture file of a number of conversations, one after the other in each of
// some rounds, a second apart. In each there are two packets there, and one back.
func talks(t testing.TB, conversations, rounds int) []byte {
	t.Helper()
	var b bytes.Buffer
	writer := pcapgo.NewWriterNanos(&b)
	if err := writer.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		for i := range conversations {
			there := capfiletest.Datagram(1000 + i)
			back := bytes.Clone(there)
			copy(back[26:], there[30:34]) // addresses
			copy(back[30:], there[26:30])
			copy(back[34:], there[36:38]) // ports
			copy(back[36:], there[34:36])
			for _, packet := range [][]byte{there, back, there} {
				info := capfiletest.Info(i, packet)
				info.Timestamp = info.Timestamp.Add(time.Duration(round) * time.Second)
				if err := writer.WritePacket(info, packet); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return b.Bytes()
}

// TestFlowsOfFile: the flows are the same in every way of reading, and no packet is missing.
func TestFlowsOfFile(t *testing.T) {
	file := talks(t, 300, 2)
	status, stdout, stderr := readBytes(t, file, "--flows", "-o", "json", "-q")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if status != exitOK || stderr != "" || len(lines) != 300 {
		t.Fatalf("status %d, %d lines, stderr\n%s", status, len(lines), stderr)
	}
	const want = `{"timestamp":"2023-11-14T22:13:21.000299007Z","event_type":"flow","ether_type":2048,"ip_v":4,` +
		`"src_ip":"192.0.2.1","src_port":1000,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,` +
		`"flow":{"pkts_toserver":4,"pkts_toclient":2,"bytes_toserver":168,"bytes_toclient":84,` +
		`"start":"2023-11-14T22:13:20.000000007Z","end":"2023-11-14T22:13:21.000000007Z","age":1,` +
		`"state":"established","reason":"shutdown","alerted":false}}`
	if lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}

	status, stdout, stderr = readBytes(t, file, "--flows", "--time-format", "none", "--flow-idle", "1s", "src", "port", "1007", "or", "dst", "port", "1007")
	const flow = "udp 192.0.2.1:1007 > 192.0.2.2:53 2 packets 84 bytes, 1 packet 42 bytes back, 0.000s, established\n"
	ended := strings.Replace(flow, "\n", " (shutdown)\n", 1)
	if status != exitOK || stdout != flow+ended || stderr != greetingOf+closing(6)+"2 flows of 6 packets\n" {
		t.Errorf("status %d, stdout\n%sstderr\n%s", status, stdout, stderr)
	}
}

// TestFlowsAreBounded: what finds no room is told, and in no flow is a packet missing.
func TestFlowsAreBounded(t *testing.T) {
	file := talks(t, 300, 2)
	_, stdout, stderr := readBytes(t, file, "--flows", "--flow-max", "100", "-o", "json")
	packets := 0
	for line := range strings.Lines(stdout) {
		var e struct {
			Flow struct {
				ToServer  int `json:"pkts_toserver"`
				ToClient  int `json:"pkts_toclient"`
				Reason    string
				Emergency bool
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		packets += e.Flow.ToServer + e.Flow.ToClient
		if e.Flow.Emergency != (e.Flow.Reason == "forced") {
			t.Error(line)
		}
	}
	if n := strings.Count(stdout, `"emergency":true`); packets != 1800 || n != 500 {
		t.Errorf("%d packets, %d early", packets, n)
	}
	if !strings.HasSuffix(stderr, `"captured":1800,"lost":0,"matched_bytes":75600,"captured_bytes":75600,"lost_bytes":0},"flows":{"total":600,"active":0,"packets":1800,"early":500}}`+"\n") {
		t.Error(stderr)
	}
}

// TestFlowsLimit: -c counts flows, and speaks of no packet behind the last of them.
func TestFlowsLimit(t *testing.T) {
	file := talks(t, 300, 3)
	status, stdout, stderr := readBytes(t, file, "--flows", "--flow-idle", "1s", "-c", "7")
	// The seventh is over when the first packet of its second round comes.
	if want := greetingOf + closing(900+3*7-2) + "307 flows of 919 packets, 300 of them open\n"; status != exitOK || strings.Count(stdout, "\n") != 7 || stderr != want {
		t.Errorf("status %d, %d lines, stderr\n%swant\n%s", status, strings.Count(stdout, "\n"), stderr, want)
	}
}

// TestFirst prints one packet of each conversation, and counts the others.
func TestFirst(t *testing.T) {
	file := talks(t, 300, 2)
	for _, c := range []struct {
		args   []string
		lines  int
		stderr string
	}{
		{[]string{}, 300, closing(1800) + "300 of them the first of their conversations, 1500 not\n"},
		{[]string{"--flow-idle", "1s"}, 600, closing(1800) + "600 of them the first of their conversations, 1200 not\n"},
		{[]string{"--flow-max", "1"}, 600, closing(1800) + "600 of them the first of their conversations, 1200 not; 599 conversations were forgotten early for want of room\n"},
		{[]string{"-c", "7"}, 7, closing(19) + "7 of them the first of their conversations, 12 not\n"},
	} {
		status, stdout, stderr := readBytes(t, file, append([]string{"--first"}, c.args...)...)
		if status != exitOK || strings.Count(stdout, "\n") != c.lines || stderr != greetingOf+c.stderr || strings.Contains(stdout, " 192.0.2.2") == false {
			t.Errorf("%v: status %d, %d lines, stderr\n%s", c.args, status, strings.Count(stdout, "\n"), stderr)
		}
		if strings.Contains(stdout, "udp 192.0.2.2:53") {
			t.Errorf("%v: an answer came first", c.args)
		}
	}
}
