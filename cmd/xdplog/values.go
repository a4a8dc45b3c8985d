package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
)

// A value is that of a flag. The errors of parse say what is allowed: the
// flag's name and what was given are put before them.
type value[T any] struct {
	target *T
	parse  func(string) (T, error)
	kind   string // what the help calls it
}

func (v value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err == nil {
		*v.target = parsed
	}
	return err
}

func (v value[T]) Type() string   { return v.kind }
func (v value[T]) String() string { return "" } // the help names the defaults

// single is the value of -i where it names one interface.
func single(name *string) pflag.Value {
	return once(name, func(s string) (string, error) { return s, checkInterface(s) }, "NAME")
}

// list is the value of -i where it may be repeated.
func list(names *[]string) pflag.Value {
	return value[[]string]{names, func(s string) ([]string, error) {
		if slices.Contains(*names, s) {
			return nil, errors.New("must be given once per interface")
		}
		return append(*names, s), checkInterface(s)
	}, "NAME"}
}

// once is the value of a flag that names one thing.
func once(target *string, parse func(string) (string, error), kind string) pflag.Value {
	return value[string]{target, func(s string) (string, error) {
		if *target != "" {
			return "", errors.New("must be given once")
		}
		return parse(s)
	}, kind}
}

func checkInterface(s string) error {
	if s == "" {
		return errors.New("must be the name of an interface")
	}
	return nil
}

// fileList is the value of -r.
func fileList(names *[]string) pflag.Value {
	return value[[]string]{names, func(s string) ([]string, error) {
		switch {
		case s == "":
			return nil, errors.New("must be the name of a capture file, or - for standard input")
		case s == "-" && slices.Contains(*names, s):
			return nil, errors.New("must be given once for standard input")
		}
		return append(*names, s), nil
	}, "FILE"}
}

func parseWrite(s string) (string, error) {
	if s == "" {
		return "", errors.New("must be the name of a file to write, or - for standard output")
	}
	return s, nil
}

// parseSnapLen reads a number of bytes, 0 for no limit.
func parseSnapLen(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil || n > capfile.MaxSnapLen:
		return 0, fmt.Errorf("must be a number of bytes up to %d, or 0, which is as much", capfile.MaxSnapLen)
	case n == 0:
		return capfile.MaxSnapLen, nil
	}
	return int(n), nil
}

func parseSample(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > asm.MaxSample {
		return 0, fmt.Errorf("must be a whole number from 1 to %d: 1000 is one packet in 1000", uint32(asm.MaxSample))
	}
	return uint32(n), nil
}

// addSwitch adds a flag that is on where it is given.
func addSwitch(flags *pflag.FlagSet, target *bool, name, short, usage string) {
	parse := func(s string) (bool, error) {
		on, err := strconv.ParseBool(s)
		if err != nil {
			err = errors.New("must be true or false, or left out")
		}
		return on, err
	}
	flags.VarPF(value[bool]{target, parse, "bool"}, name, short, usage).NoOptDefVal = "true"
}

func parseNamespace(s string) (string, error) {
	if s == "" {
		return "", errors.New("must be a name under /run/netns, a path or a process id")
	}
	return s, nil
}

func parseCount(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, errors.New("must be a whole number, 1 or more")
	}
	return n, nil
}

func parseSources(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > metrics.MaxSources {
		return 0, fmt.Errorf("must be a whole number, from 1 to %d", metrics.MaxSources)
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond {
		return 0, errors.New("must be a time of 1ms or more, with its unit: 500ms, 10s, 5m, 1h30m")
	}
	return d, nil
}

// parseSize reads a number of bytes: plain, or in units of 1024 with a suffix
// such as k, K, KiB, M, MiB, G or GiB.
func parseSize(s string) (int, error) {
	digits := strings.TrimRight(s, "kKmMgGiIbB")
	shift, known := map[string]int{
		"": 0, "b": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30,
	}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || !known {
		if errors.Is(err, strconv.ErrRange) {
			n, shift = math.MaxUint32, 0
		} else {
			return 0, errors.New("must be a number of bytes: 1048576, 512KiB, 4MiB")
		}
	}
	if n <<= shift; n < asm.MinBuffer || n > asm.MaxBuffer {
		return 0, errors.New("must be between 4KiB and 1GiB")
	}
	return int(n), nil
}
