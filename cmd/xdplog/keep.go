package main

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// keepOptions are the flags of a flight recorder.
type keepOptions struct {
	keep  run.Keep
	until string // the filter, as text
}

func (o *keepOptions) addFlags(flags *pflag.FlagSet) {
	flags.Var(value[run.Keep]{&o.keep, parseKeep, "SIZE"}, "keep", "keep the last packets (64MiB, 30s) until SIGUSR2, --until or the end")
	flags.Var(value[string]{&o.until, parseText, "FILTER"}, "until", "with --keep: write them when one comes that FILTER finds too")
}

// check refuses what makes no sense beside keeping.
func (o *options) checkKeep(given *pflag.FlagSet) error {
	switch {
	case !given.Changed("keep") && given.Changed("until"):
		return usage("--until is when kept packets are written: it means nothing without --keep SIZE")
	case !given.Changed("keep"):
		return nil
	case given.Changed("buffer"):
		return usage("--keep is the size of the buffers: it excludes --buffer")
	case o.transport.fixed && o.transport.Transport != asm.Mmap:
		return usage("--keep is in the rings of transport mmap, not %s", o.transport)
	case o.ring.Every > 0 && o.ring.Count > 0:
		return usage("--keep writes at the end, too: it excludes -G with -W, which end with a file")
	case o.clock == asm.NoClock, o.clock == asm.HardwareClock:
		return usage("--keep puts packets in the order of their times: it excludes --time %s", o.clock)
	}
	return nil
}

// keeping has a program keep packets.
func (o *options) keeping(config *asm.Config) error {
	if o.kept.keep == (run.Keep{}) {
		return nil
	}
	config.Keep, config.Transport = true, asm.Mmap
	if config.SnapLen = min(o.packetBytes(), asm.Mmap.MaxSnapLen()); config.SnapLen == 0 {
		config.SnapLen = 1
	}
	if o.kept.until == "" {
		return nil
	}
	until, err := o.parse(o.kept.until)
	if err != nil {
		return usageError{err}
	}
	config.Until = until
	return nil
}

// parseKeep reads a size or a time.
func parseKeep(s string) (run.Keep, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return run.Keep{Time: d}, nil
	}
	size, err := parseSize(s)
	if err != nil || size <= 0 {
		return run.Keep{}, errors.New("must be a size from 4KiB to 1GiB, or a time: 64MiB, 30s")
	}
	return run.Keep{Bytes: size}, nil
}

func parseText(s string) (string, error) {
	if s == "" {
		return "", errors.New("must be a filter")
	}
	return s, nil
}
