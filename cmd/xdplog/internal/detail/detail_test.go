package detail

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Between two hosts, over IPv4 and IPv6.
const (
	ether4 = "020000000002" + "020000000001" + "0800"
	ether6 = "020000000002" + "020000000001" + "86dd"
	ends4  = "c0000201" + "c0000202"
	ends6  = "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
)

var cases = []struct {
	name, frame string
	words, json string // json behind the MAC addresses
}{
	{
		"SYN with options", ether4 + "45b9003cd431400040060000" + ends4 + "88ae00500000006400000000a002faf000000000" + "020405b40402080a000000010000000001030307",
		" dscp 46 ecn 1 id 54321 DF seq 100 win 64240 options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7]",
		`"tos":185,"dscp":46,"ipid":54321,"dont_fragment":true,"tcpseq":100,"tcpack":0,"tcpwin":64240,"tcpurgp":0,"payload_len":0,"tcp_options":{"mss":1460,"sack_ok":true,"ts_val":1,"ts_ecr":0,"wscale":7}`,
	},
	{
		"data behind a tag", "020000000002020000000001" + "8100000a0800" + "4500002dd431000040060000" + ends4 + "88ae005000000064000000075018faf0000000ff" + "68656c6c6f",
		" dscp 0 id 54321 seq 100:105 ack 7 win 64240",
		`"tos":0,"dscp":0,"ipid":54321,"tcpseq":100,"tcpack":7,"tcpwin":64240,"tcpurgp":255,"payload_len":5`,
	},
	{
		"the sequence number wraps, padding follows", ether4 + "4500002c0001000040060000" + ends4 + "88ae0050fffffffe000000075010000100000000" + "61626364" + "0000",
		" dscp 0 id 1 seq 4294967294:2 ack 7 win 1",
		`"tos":0,"dscp":0,"ipid":1,"tcpseq":4294967294,"tcpack":7,"tcpwin":1,"tcpurgp":0,"payload_len":4`,
	},
	{
		"SACK, urgent, an option that nobody knows, one that is cut", ether4 + "450000400001000040060000" + ends4 + "88ae0050000000010000000280300001000000050101" + "050a0000000200000003" + "fd04beef" + "0409",
		" dscp 0 id 1 seq 1:13 ack 2 win 1 urg 5 options [nop,nop,sack 1 {2:3}]",
		`"tos":0,"dscp":0,"ipid":1,"tcpseq":1,"tcpack":2,"tcpwin":1,"tcpurgp":5,"payload_len":12,"tcp_options":{"sack":[[2,3]]}`,
	},
	{
		"an unknown option, and the end", ether4 + "450000300001000040060000" + ends4 + "88ae0050000000010000000270100001000000" + "05" + "fd04beef" + "00000000",
		" dscp 0 id 1 seq 1 ack 2 win 1 options [option 253 0xbeef,eol]",
		`"tos":0,"dscp":0,"ipid":1,"tcpseq":1,"tcpack":2,"tcpwin":1,"tcpurgp":5,"payload_len":0`,
	},
	{
		"a later fragment", ether4 + "450000240009200140110000" + ends4 + "88ae0050",
		" dscp 0 id 9 MF offset 8",
		`"tos":0,"dscp":0,"ipid":9,"more_fragments":true,"fragment_offset":8`,
	},
	{
		"echo request", ether4 + "450000200001000040010000" + ends4 + "0800000000040001" + "61626364",
		" dscp 0 id 1 type 8 code 0 (echo request, id 4, seq 1)",
		`"tos":0,"dscp":0,"ipid":1,"icmp_type":8,"icmp_code":0,"icmp_id":4,"icmp_seq":1`,
	},
	{
		"port unreachable", ether4 + "45c000380001000040010000" + ends4 + "0303000000000000" + "4500001c0002000040110000" + ends4 + "9c40003500080000",
		" dscp 48 id 1 type 3 code 3 (port unreachable, of udp 192.0.2.1:40000 > 192.0.2.2:53)",
		`"tos":192,"dscp":48,"ipid":1,"icmp_type":3,"icmp_code":3`,
	},
	{
		"an ICMP type without a name", ether4 + "4500001c0001000040010000" + ends4 + "fc07000000000000",
		" dscp 0 id 1 type 252 code 7",
		`"tos":0,"dscp":0,"ipid":1,"icmp_type":252,"icmp_code":7`,
	},
	{
		"neighbor solicitation", ether6 + "6e01234500183aff" + ends6 + "8700000000000000" + "20010db8000000000000000000000002",
		" dscp 56 flowlabel 0x12345 type 135 code 0 (neighbor solicitation, who has 2001:db8::2)",
		`"tos":224,"dscp":56,"flow_label":74565,"icmp_type":135,"icmp_code":0`,
	},
	{
		"TCP behind extension headers", ether6 + "6000000000290040" + ends6 + "2c00000000000000" + "0600000100001234" + "88ae005000000064000000075018faf000000000" + "68656c6c6f",
		" dscp 0 flowlabel 0x00000 id 4660 MF seq 100:105 ack 7 win 64240",
		`"tos":0,"dscp":0,"flow_label":0,"ipid":4660,"more_fragments":true,"tcpseq":100,"tcpack":7,"tcpwin":64240,"tcpurgp":0,"payload_len":5`,
	},
	{
		"who-has", "ffffffffffff" + "020000000001" + "0806" + "0001080006040001" + "020000000001c0000201" + "000000000000c0000202",
		" who-has 192.0.2.2 tell 192.0.2.1",
		`"arp":{"opcode":"request","src_mac":"02:00:00:00:00:01","src_ip":"192.0.2.1","dest_mac":"00:00:00:00:00:00","dest_ip":"192.0.2.2"}`,
	},
	{
		"is-at", "020000000002" + "020000000001" + "0806" + "0001080006040002" + "020000000001c0000201" + "020000000002c0000202",
		" reply 192.0.2.1 is-at 02:00:00:00:00:01",
		`"arp":{"opcode":"reply","src_mac":"02:00:00:00:00:01","src_ip":"192.0.2.1","dest_mac":"02:00:00:00:00:02","dest_ip":"192.0.2.2"}`,
	},
	{"ARP of something else", "020000000002" + "020000000001" + "0806" + "0006080006040001", " hardware 6 protocol 0x0800 operation 1", ""},
	{"STP", "0180c2000000" + "020000000001" + "0026" + "424203" + "0000000000", " stp", ""},
	{"SNAP", "01000ccccccc" + "020000000001" + "0026" + "aaaa03" + "00000c2000" + "0000000000", " snap oui 0x00000c type 0x2000", ""},
	{"LLC of somebody", "020000000002" + "020000000001" + "0026" + "e0e003" + "ffff", " dsap 0xe0 ssap 0xe0", ""},
	{"LLDP", "0180c200000e" + "020000000001" + "88cc" + "0207040200000000010000", "", ""},
	{"TCP whose header is cut", ether4 + "4500003cd431400040060000" + ends4 + "88ae005000000064", " dscp 0 id 54321 DF", `"tos":0,"dscp":0,"ipid":54321,"dont_fragment":true`},
	{"malformed IPv4", ether4 + "4100003cd431400040060000" + ends4, "", ""},
	{"nothing", "", "", ""},
}

func decode(t testing.TB, s string) Packet {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return Packet{Data: b}
}

func TestWords(t *testing.T) {
	for _, c := range cases {
		p := decode(t, c.frame)
		if got := string(AppendWords(nil, p)); got != c.words {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.words)
		}
		want := ""
		if len(p.Data) > 0 {
			destination, source := c.frame[:12], c.frame[12:24]
			want = `,"ether":{"src_mac":"` + colons(source) + `","dest_mac":"` + colons(destination) + `"}`
		}
		if c.json != "" {
			want += "," + c.json
		}
		if got := string((Options{Ether: true, Verbose: true}).AppendFields(nil, p)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, want)
		}
	}
}

// colons puts a colon between each two digits.
func colons(s string) string {
	var parts []string
	for i := 0; i < len(s); i += 2 {
		parts = append(parts, s[i:i+2])
	}
	return strings.Join(parts, ":")
}

// TestInside: of a packet in a tunnel what is said is the inner packet's, and MAC addresses the
// frame's.
func TestInside(t *testing.T) {
	for _, c := range cases {
		if c.frame == "" {
			continue
		}
		inner := decode(t, c.frame)
		p := Packet{Data: append(make([]byte, 50), inner.Data...), Inside: 50}
		if got := string(AppendWords(nil, p)); got != c.words {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.words)
		}
		if len(inner.Data) < 15 || inner.Data[12] != 8 && inner.Data[12] != 0x86 || inner.Data[13] != 0 && inner.Data[13] != 0xdd {
			continue
		}
		p = Packet{Data: append(make([]byte, 50), inner.Data[14:]...), Inside: 50, InsideIP: true}
		if got := string(AppendWords(nil, p)); got != c.words {
			t.Errorf("%s, without an Ethernet header:\ngot  %s\nwant %s", c.name, got, c.words)
		}
		if source, _ := p.MACs(); source == nil || source[5] != 0 {
			t.Errorf("%s: from %x", c.name, source)
		}
	}
	if got := AppendWords(nil, Packet{Data: make([]byte, 20), Inside: 50, InsideIP: true}); len(got) > 0 {
		t.Errorf("of what was not captured: %s", got)
	}
}

// TestCooked: of packets without an Ethernet header an address that is not known is
// left out, and a dump has what was captured.
func TestCooked(t *testing.T) {
	data := []byte("\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00\x08\x00payload")
	p := Packet{Data: data, Frame: append([]byte("\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x01\x08\x00"), data[16:]...)}
	if source, destination := p.MACs(); destination != nil || !bytes.Equal(source, data[6:12]) {
		t.Errorf("from %x to %x", source, destination)
	}
	if got, want := string((Options{Ether: true}).AppendFields(nil, p)), `,"ether":{"src_mac":"02:00:00:00:00:01"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string((Options{Dump: ASCII}).AppendDump(nil, p)); got != "payload\n" {
		t.Errorf("dump %q", got)
	}
	if got, want := string((Options{Dump: Hex, Link: true, Most: 4}).AppendDump(nil, p)), "\t0x0000:  0000 0001\n"; got != want {
		t.Errorf("dump %q, want %q", got, want)
	}
	p.Frame = make([]byte, 14)
	if got := (Options{Ether: true}).AppendFields(nil, p); len(got) > 0 {
		t.Errorf("nobody's address: %s", got)
	}
}

// TestDump compares dumps with tcpdump's.
func TestDump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("no tcpdump")
	}
	for flag, o := range map[string]Options{
		"-x": {Dump: Hex}, "-xx": {Dump: Hex, Link: true}, "-X": {Dump: HexASCII},
		"-XX": {Dump: HexASCII, Link: true}, "-A": {Dump: ASCII}, "-AA": {Dump: ASCII, Link: true},
	} {
		for _, c := range cases {
			p := decode(t, c.frame+hex.EncodeToString([]byte("GET /\r\nHost: a\r\x00\x1b\xff \n")))
			if len(c.frame) < 2*ethernetHeader || c.name == "LLC of somebody" { // of which tcpdump dumps all
				continue
			}
			var file bytes.Buffer
			writer := pcapgo.NewWriter(&file)
			if err := writer.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
				t.Fatal(err)
			}
			if err := writer.WritePacket(gopacket.CaptureInfo{CaptureLength: len(p.Data), Length: len(p.Data)}, p.Data); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(t.TempDir(), "f.pcap")
			if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("tcpdump", "-ntq", flag, "-r", name).Output()
			if err != nil {
				t.Fatalf("tcpdump: %v", err)
			}
			_, want, _ := bytes.Cut(out, []byte("\n"))
			if got := o.AppendDump(nil, p); !bytes.HasSuffix(out, append([]byte("\n"), got...)) || len(got) == 0 && len(want) > 0 {
				t.Errorf("%s %s:\ngot\n%swant\n%s", flag, c.name, got, want)
			}
		}
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want int
	}{
		{Options{}, 0}, {Options{Number: true, Most: 96}, 0}, {Options{Ether: true}, 14}, {Options{Ether: true, Verbose: true}, 256},
		{Options{Dump: Hex}, Everything}, {Options{Dump: Hex, Most: 96}, 96}, {Options{Dump: Hex, Most: 1}, 14},
		{Options{Dump: Hex, Most: 96, Verbose: true}, 256},
	} {
		if got := c.o.Bytes(); got != c.want {
			t.Errorf("%+v: %d bytes, want %d", c.o, got, c.want)
		}
	}
}

// FuzzDetail gives it packets that are cut anywhere, and anything: lines stay whole,
// objects too.
func FuzzDetail(f *testing.F) {
	for _, c := range cases {
		data, _ := hex.DecodeString(c.frame)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for cut := range len(data) + 1 {
			p := Packet{Data: data[:cut:cut]}
			if words := AppendWords(nil, p); bytes.ContainsFunc(words, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("words %q", words)
			}
			var object struct{ Packet string }
			fields := Options{Ether: true, Verbose: true, Dump: Hex}.AppendFields([]byte(`{"a":1`), p)
			if err := json.Unmarshal(append(fields, '}'), &object); err != nil {
				t.Fatalf("%s: %v", fields, err)
			}
			if b, err := base64.StdEncoding.DecodeString(object.Packet); err != nil || !bytes.Equal(b, p.Data) {
				t.Fatalf("packet %q: %v", object.Packet, err)
			}
			for dump := ASCII; dump <= HexASCII; dump++ {
				Options{Dump: dump}.AppendDump(nil, p)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	b := make([]byte, 0, 4096)
	for _, c := range cases {
		p := decode(t, c.frame)
		all := Options{Ether: true, Verbose: true, Dump: HexASCII}
		if n := testing.AllocsPerRun(10, func() { all.AppendDump(AppendWords(all.AppendFields(b, p), p), p) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
