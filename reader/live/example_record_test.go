package live_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/live"
)

// Write the packets that an interface receives to a pcapng file until Ctrl-C.
//
// docs/embedding.md shows this code, and e2e builds and runs it.
func Example_record() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := record(ctx, "eth0", "packets.pcapng"); err != nil {
		log.Fatal(err)
	}
}

// record writes the packets that an interface receives to a file, until ctx is
// done.
func record(ctx context.Context, iface, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	recording, err := pcapgo.NewNgWriter(buffered, layers.LinkTypeEthernet)
	if err != nil {
		return err
	}
	capture, err := live.Open(live.Options{
		Interfaces: []string{iface},
		Config:     asm.Config{All: true, SnapLen: asm.MaxSnapLen},
	})
	if err != nil {
		return err
	}
	defer capture.Close()
	context.AfterFunc(ctx, func() { capture.Finish() }) // and what was captured is still read

	packets := make([]reader.Packet, 64)
	for err == nil {
		var n int
		n, err = capture.ReadPackets(packets)
		for _, packet := range packets[:n] {
			info := gopacket.CaptureInfo{Timestamp: packet.Time, CaptureLength: len(packet.Data), Length: packet.Length}
			if err := recording.WritePacket(info, packet.Data); err != nil {
				return err
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, recording.Flush(), buffered.Flush(), file.Close())
}
