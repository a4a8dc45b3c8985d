package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// expressions mean the same to tcpdump and to xdplog, on packets without VLAN
// tags and IPv6 extension headers; tcp[…] of IPv6 packets is xdplog's alone. They are lines; empty ones are for the eye.
const expressions = `
ip
ip6
arp
rarp
tcp
udp
sctp
icmp
icmp6
igmp
not ip
not tcp and not udp

host 192.0.2.2
src host 198.51.100.7
dst host 198.51.100.7
host 2001:db8::2
src host 2001:db8:7::7 and tcp
src or dst host 198.51.100.7
src and dst host 192.0.2.2
net 192.0.2.0/24
net 192.0.2
src net 198.51.100.0 mask 255.255.255.0
dst net 2001:db8::/64
not net 198.51.100.0/24
arp host 192.0.2.2
ip host 192.0.2.2

port 53
src port 53
tcp port 443
tcp port https
udp port domain
port 53 or 443
tcp dst port 80 or 443
portrange 50-500
udp portrange 53-53
sctp port 5000
src port 40000 and not dst port 53
not port 53

proto 17
ip proto \udp
ip6 proto \tcp
ip proto 89
ether proto 0x0806
ether proto \ip6
ether host 02:00:00:00:00:02
ether src 02:00:00:00:00:01
ether dst 02:00:00:00:00:01
ether broadcast
ether multicast
broadcast
multicast
ip multicast
ip6 multicast
ip broadcast

greater 100
less 60
len > 1000
len == 34
len - 14 >= 28
greater 1500 and udp
ip and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn
tcp[tcpflags] & tcp-ack != 0
ip and tcp[13] = 2
ip[0] & 0xf != 5
ip[6:2] & 0x1fff != 0
ip[8] < 64
ip6[6] == 58
icmp[icmptype] == icmp-echo
icmp[icmptype] != icmp-echo and icmp
ip and udp[4:2] > 100
ether[0] & 1 = 1
ether[12:2] > 0x600
ip and (tcp[2:2] = 443 or udp[2:2] = 53)
ip[2:2] - ((ip[0] & 0xf) << 2) > 20
-1 > len
ip and (tcp or udp) and not (port 53 or port 443)
tcp and (dst port 443 or src port 443) or icmp or arp
(udp or sctp) && !dst host 192.0.2.2 || len < 43
`

// record is a packet of a file.
type record struct {
	data   []byte
	length int // of the whole packet, of which data may be the first bytes
}

// records are packets of all kinds that expressions tell apart.
func records() []record {
	var all []record
	add := func(parts ...gopacket.SerializableLayer) {
		data := frame(parts...)
		all = append(all, record{data, len(data)})
	}
	other4 := &layers.IPv4{Version: 4, IHL: 5, TTL: 200, SrcIP: host4, DstIP: stranger4}
	other6 := &layers.IPv6{Version: 6, HopLimit: 1, SrcIP: host6, DstIP: []byte{0xff, 2, 15: 1}}
	for _, size := range []int{0, 10, 100, 1400} {
		payload := gopacket.Payload(make([]byte, size))
		for _, ports := range [][2]uint16{{40000, 53}, {53, 40000}, {40000, 443}, {50, 500}} {
			add(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(layers.UDPPort(ports[0]), layers.UDPPort(ports[1])), payload)
			add(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolTCP), syn(layers.TCPPort(ports[0]), layers.TCPPort(ports[1])), payload)
			add(ethernet(layers.EthernetTypeIPv6), ipv6(layers.IPProtocolTCP), syn(layers.TCPPort(ports[0]), layers.TCPPort(ports[1])), payload)
			add(ethernet(layers.EthernetTypeIPv6), ipv6(layers.IPProtocolUDP), udp(layers.UDPPort(ports[0]), layers.UDPPort(ports[1])), payload)
		}
		add(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolSCTP), sctp(5000, 6000), payload)
		for _, protocol := range []layers.IPProtocol{layers.IPProtocolTCP, layers.IPProtocolOSPF, layers.IPProtocolIGMP} {
			other4.Protocol = protocol
			add(ethernet(layers.EthernetTypeIPv4), other4, &layers.TCP{SrcPort: 443, DstPort: 40000, SYN: true, ACK: true, DataOffset: 5}, payload)
		}
		other6.NextHeader = layers.IPProtocolICMPv6
		add(ethernet(layers.EthernetTypeIPv6), other6, gopacket.Payload{128, 0, 0, 0}, payload)
		for _, kind := range []byte{0, 3, 8} {
			add(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolICMPv4), gopacket.Payload{kind, 0, 0, 0, 0, 0, 0, 0}, payload)
		}
	}
	add(ethernet(layers.EthernetTypeIPv4), ipv4Fragment(0, true), udp(40000, 53))
	add(ethernet(layers.EthernetTypeIPv4), ipv4Fragment(3, false), gopacket.Payload(make([]byte, 40)))
	options := ipv4(layers.IPProtocolUDP)
	options.IHL, options.Options = 6, []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
	add(ethernet(layers.EthernetTypeIPv4), options, udp(40000, 53))
	arp := &layers.ARP{
		AddrType: 1, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: host4,
		DstHwAddress: make([]byte, 6), DstProtAddress: stranger4,
	}
	add(ethernet(layers.EthernetTypeARP), arp)
	add(ethernet(0x88cc), gopacket.Payload(make([]byte, 30)))
	toAll := frame(ethernet(layers.EthernetTypeARP), arp)
	all = append(all, record{patch(toAll, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), len(toAll)})
	return all
}

// cut is the records as a capture with a small snapshot length has them.
func cut(all []record, snaplen int) []record {
	short := make([]record, len(all))
	for i, r := range all {
		short[i] = record{r.data[:min(len(r.data), snaplen)], r.length}
	}
	return short
}

// jumbo is frames larger than a page.
func jumbo() []record {
	var all []record
	for _, size := range []int{2900, 3500, 4000, 9000, 60000} {
		data := frame(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(40000, 53), gopacket.Payload(make([]byte, size)))
		all = append(all, record{data, len(data)})
	}
	return all
}

// write writes a capture file.
func write(t testing.TB, name string, all []record, ng bool) string {
	t.Helper()
	var b bytes.Buffer
	var packets interface {
		WritePacket(gopacket.CaptureInfo, []byte) error
	}
	var err error
	flush := func() error { return nil }
	if ng {
		var w *pcapgo.NgWriter
		w, err = pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
		packets, flush = w, w.Flush
	} else {
		w := pcapgo.NewWriterNanos(&b)
		err = w.WriteFileHeader(262144, layers.LinkTypeEthernet)
		packets = w
	}
	for i, r := range all {
		if err == nil {
			err = packets.WritePacket(gopacket.CaptureInfo{
				Timestamp: time.Unix(1_700_000_000, int64(i)), CaptureLength: len(r.data), Length: r.length,
			}, r.data)
		}
	}
	if err == nil {
		err = flush()
	}
	file := filepath.Join(t.TempDir(), name)
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestReadLikeTcpdump counts lines: xdplog -r FILE EXPRESSION has as many as
// tcpdump -r FILE EXPRESSION.
func TestReadLikeTcpdump(t *testing.T) {
	needPrivilege(t)
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv(levelEnv) == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	all := records()
	runts := cut(all, 13)
	for _, f := range []struct {
		file string
		args []string // of tcpdump: without its optimizer where packets are cut, see package filter
	}{
		{write(t, "whole.pcap", all, false), nil},
		{write(t, "whole.pcapng", all, true), nil},
		{write(t, "cut.pcap", cut(all, 60), false), []string{"-O"}},
		{write(t, "headers.pcap", cut(all, 54), false), []string{"-O"}}, // whole IP headers: see package filter
		{write(t, "runts.pcap", append(runts, cut(all, 5)...), false), []string{"-O"}},
		{write(t, "jumbo.pcap", jumbo(), false), nil},
		{write(t, "none.pcap", nil, false), nil},
	} {
		t.Run(filepath.Base(f.file), func(t *testing.T) {
			compared := 0
			for expression := range strings.Lines(expressions) {
				if expression = strings.TrimSpace(expression); expression == "" {
					continue
				}
				compared++
				want := lines(t, exec.Command(tcpdump, append(f.args, "-nqtr", f.file, "--", expression)...))
				for _, engine := range []string{"go", "kernel"} {
					got := lines(t, command("-r", f.file, "--engine", engine, "--", expression))
					if got != want {
						t.Errorf("%q: %d lines by engine %s, tcpdump has %d", expression, got, engine, want)
					}
				}
			}
			if compared < 50 {
				t.Errorf("%d expressions, want 50", compared)
			}
		})
	}
}

// lines is the number of lines that a command prints.
func lines(t testing.TB, cmd *exec.Cmd) int {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, errs.String())
	}
	return bytes.Count(out, []byte("\n"))
}

// TestReadAlike: both engines print the same of every packet, and count alike.
func TestReadAlike(t *testing.T) {
	needPrivilege(t)
	for _, f := range []string{write(t, "whole.pcapng", records(), true), write(t, "cut.pcap", cut(records(), 40), false), write(t, "jumbo.pcap", jumbo(), false)} {
		for _, args := range [][]string{{"--all"}, nil, {"--all", "--sample", "3"}, {"-c", "7"}, {"udp", "or", "arp"}} {
			var outputs []string
			for _, engine := range []string{"go", "kernel"} {
				cmd := command(append([]string{"-r", f, "--engine", engine, "-o", "json"}, args...)...)
				var errs bytes.Buffer
				cmd.Stderr = &errs
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %v\n%s", cmd, err, errs.String())
				}
				counted, err := parseCounters(errs.String())
				if err != nil || len(counted) != 1 {
					t.Fatalf("counters %+v, %v in %s", counted, err, errs.String())
				}
				outputs = append(outputs, fmt.Sprintf("%s%+v", out, counted[0]))
			}
			if outputs[0] != outputs[1] {
				t.Errorf("%s %v\n\tgo: %s\n\tkernel: %s", filepath.Base(f), args, outputs[0], outputs[1])
			}
		}
	}
}

// TestReadUnprivileged reads a file as nobody, who may not even ask for bpf(2).
func TestReadUnprivileged(t *testing.T) {
	file := write(t, "whole.pcapng", records(), true)
	cmd := command("-r", "-", "-o", "json", "--all")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin = in
	if got := lines(t, cmd); got != len(records()) {
		t.Errorf("%d lines, want %d", got, len(records()))
	}
}

// TestReadMillion is about time. With -short, for emulated machines and old
// kernels, there are fewer packets and no limit.
func TestReadMillion(t *testing.T) {
	one := frame(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(40000, 53))
	count := 1_000_000
	if testing.Short() {
		count = 2_000
	}
	all := make([]record, count)
	for i := range all {
		all[i] = record{one, len(one)}
	}
	file := write(t, "million.pcap", all, false)
	const most = 5 * time.Second
	best := time.Hour
	for i := 0; i < 1 || i < 3 && best > most && !testing.Short(); i++ { // the machine may be busy once, but not always
		cmd := command("-r", file, "-o", "json")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		best = min(best, time.Since(begin))
		t.Logf("%v, %v of CPU", time.Since(begin), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		closing, err := parseCounters(errs.String())
		packets, bytes := uint64(count), uint64(count*len(one))
		if want := (counters{Seen: packets, Matched: packets, Captured: packets, MatchedBytes: bytes, CapturedBytes: bytes}); err != nil || len(closing) != 1 || closing[0] != want {
			t.Errorf("counters are %+v, %v, want %+v", closing, err, want)
		}
	}
	if best > most && !testing.Short() {
		t.Errorf("%d packets take %v at best, want %v", count, best, most)
	}
}
