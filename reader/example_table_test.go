package reader_test

import (
	"fmt"
	"log"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/tally"
)

// Who sends to eth0, and how much, counted in the kernel: user space has work once a second.
func ExampleTable() {
	coll, err := loader.Load(asm.Config{Count: &asm.Count{By: wire.BySource}})
	if err != nil {
		log.Fatal(err)
	}
	defer coll.Close()
	table, err := reader.NewTable(coll)
	if err != nil {
		log.Fatal(err)
	}
	defer table.Close()
	attached, err := loader.Attach(coll, loader.Options{Interface: "eth0"})
	if err != nil {
		log.Fatal(err)
	}
	defer attached.Close()

	var all tally.Table // rows and other are everything that matched
	for range 10 {
		time.Sleep(time.Second)
		other, err := table.Read(func(c *reader.Count) {
			row := c.Row(tally.Source)
			all.Add(&row)
		})
		if err != nil {
			log.Fatal(err)
		}
		all.AddOther(tally.Sum(other))
	}
	rows, other := all.Top(10, tally.MostBytes)
	for _, row := range rows {
		fmt.Println(row.Source, row.Packets, row.Bytes)
	}
	fmt.Println("others", other.Packets, other.Bytes, "in all", all.Total())
}
