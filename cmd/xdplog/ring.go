package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
)

// ringOptions are the flags about many files of packets.
type ringOptions struct {
	capfile.Ring
	then []string // the command for each
}

func (o *ringOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.VarP(value[int64]{&o.Size, parseFileSize, "SIZE"}, "file-size", "C", "of -w: the next file at SIZE: 10 (million bytes), 64MiB, 1GiB")
	flags.VarP(value[time.Duration]{&o.Every, parseSeconds, "S"}, "file-seconds", "G", "of -w: the next file after S seconds, or 10m; names with times: %F-%H%M")
	flags.VarP(value[int]{&o.Count, parseFiles, "N"}, "file-count", "W", "with -C: N files, then the first again; with -G: ends after N")
	flags.Var(value[int64]{&o.Total, parseFileSize, "SIZE"}, "total-size", "with -C: of all files together; the oldest are deleted")
	flags.VarP(value[[]string]{&o.then, parseCommand, "COMMAND"}, "postrotate", "z", "with -C or -G: run COMMAND, without a shell, for each whole file")
}

// check refuses what makes no sense together, of a file by a name.
func (o *ringOptions) check(given *pflag.FlagSet, name string, recorded bool) error {
	wanted := o.Wanted()
	for _, flag := range [...]string{"file-size", "file-seconds", "file-count", "total-size", "postrotate"} {
		switch {
		case !given.Changed(flag):
		case name == "":
			return usage("--%s is about files with packets: it means nothing without -w FILE", flag)
		case name == "-":
			return usage("--%s is about files: it means nothing with -w -", flag)
		case !wanted:
			return usage("--%s is about many files: it means nothing without -C SIZE or -G SECONDS", flag)
		}
	}
	switch {
	case o.Total > 0 && o.Size == 0:
		return usage("--total-size needs the size of a file: -C SIZE")
	case o.Total > 0 && o.Total/2 < o.Size:
		return usage("--total-size must be that of two files or more: -C %d is too much", o.Size)
	case o.Every > 0 && recorded:
		return usage("-G is about when packets come: it means nothing with --read, where there is -C SIZE")
	case o.Every > 0:
		if err := capfile.CheckTimes(name); err != nil {
			return usage("-w %v", err)
		}
	}
	return nil
}

// parseFileSize reads a number of millions of bytes, or with a unit of bytes in 1024s.
func parseFileSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGiIbB")
	unit, known := map[string]int64{
		"": 1_000_000, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30,
	}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || !known || n <= 0:
		return 0, errors.New("must be a number of millions of bytes, or of bytes with a unit: 10, 512KiB, 64MiB, 1GiB")
	case n > math.MaxInt64/4/unit:
		return 0, errors.New("must be less than 2 EiB")
	case n*unit < 4<<10:
		return 0, errors.New("must be 4KiB or more")
	}
	return n * unit, nil
}

// parseSeconds reads a number of seconds, or a time with its unit.
func parseSeconds(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		s = strconv.FormatUint(n, 10) + "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, errors.New("must be a number of seconds, 1 or more, or a time with its unit: 60, 10m, 24h")
	}
	return d, nil
}

func parseFiles(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("must be a number of files, 1 or more")
	}
	return int(n), nil
}

// parseCommand reads a command, whose words have blanks between them.
func parseCommand(s string) ([]string, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, errors.New("must be a command, which is given the file's name: gzip, or 'xz -9'")
	}
	return words, nil
}
