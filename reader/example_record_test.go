package reader_test

import (
	"bufio"
	"context"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// Write the packets that an interface receives to a pcapng file until Ctrl-C.
//
// docs/embedding.md shows this code, and e2e builds and runs it.
func Example_record() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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
	capture, err := pcapgo.NewNgWriter(buffered, layers.LinkTypeEthernet)
	if err != nil {
		return err
	}
	program, err := loader.Load(asm.Config{All: true, SnapLen: asm.MaxSnapLen})
	if err != nil {
		return err
	}
	defer program.Close()
	events, err := reader.New(program, reader.Options{})
	if err != nil {
		return err
	}
	defer events.Close()
	attachment, err := loader.Attach(program, loader.Options{Interface: iface})
	if err != nil {
		return err
	}
	defer attachment.Close()
	context.AfterFunc(ctx, func() {
		attachment.Close() // first, so that what was captured is all there is
		events.Finish()
	})

	packets := make([]reader.Packet, 64)
	for {
		n, err := events.ReadPackets(packets)
		for _, packet := range packets[:n] {
			info := gopacket.CaptureInfo{Timestamp: packet.Time, CaptureLength: len(packet.Data), Length: packet.Length}
			if err := capture.WritePacket(info, packet.Data); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := capture.Flush(); err != nil {
		return err
	}
	return buffered.Flush()
}
