package format

import (
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/reader"
)

// none writes no events: the counters alone.
type none struct {
	closingLines
	nameless
}

func makeNone(Options) Format { return none{} }

func (none) AppendEvent(b []byte, _ *reader.Event, _ detail.Packet) []byte { return b }

// nameless are formats that name no interface.
type nameless struct{}

func (nameless) AddInterface(names.Interface) {}
