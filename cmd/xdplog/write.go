package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// checkWrite refuses what makes no sense of the files with packets.
func (o *options) checkWrite(given *pflag.FlagSet) error {
	if o.write != "" && o.snapLen == 0 {
		o.snapLen = capfile.MaxSnapLen
	}
	switch {
	case o.snapLen > 0 && o.write == "" && o.detail.Dump == detail.NoDump:
		return usage("--snaplen is about packets' bytes: it means nothing without -w FILE, -x, -X or -A")
	case o.pcap && o.write == "":
		return usage("--pcap is about the file with packets: it means nothing without -w FILE")
	case o.write == "-" && !o.lines().Silent:
		return usage("-w - and -o %s would both write to standard output: name a file, or leave out -o", o.output.Name)
	case capfile.Packer(o.write) != "":
		return usage("-w %s would hold packets as they are: take -w - and | %s >%[1]s, or -w %[3]s and pack it afterwards", o.write, capfile.Packer(o.write), strings.TrimSuffix(o.write, filepath.Ext(o.write)))
	}
	return o.ring.check(given, o.write, len(o.files) > 0)
}

// checkFiles refuses to write packets to a terminal, or over the file that is read,
// and lines and packets to the same place, by whatever names.
func (o *options) checkFiles(env run.Environment) error {
	if o.write == "" {
		return nil
	}
	if file, ok := env.Stdout.(*os.File); ok && o.write == "-" && term.IsTerminal(file) {
		return usage("-w - would write binary data to the terminal: redirect it or name a file")
	}
	stat := func(name string, standard any) fs.FileInfo {
		info, err := os.Stat(name)
		if file, ok := standard.(*os.File); ok && name == "-" {
			info, err = file.Stat()
		}
		if err != nil || info.Mode()&fs.ModeCharDevice != 0 {
			return nil // as /dev/null, which takes and gives everything
		}
		return info
	}
	to := stat(o.write, env.Stdout)
	switch {
	case to == nil:
		return nil
	case to.Mode().IsRegular() && slices.ContainsFunc(o.files, func(name string) bool { return os.SameFile(stat(name, env.Stdin), to) }):
		return usage("-w %s is the file that is read: name another one to write", o.write)
	case o.counting && os.SameFile(stat("-", env.Stdout), to):
		return usage("-w %s is standard output, where --count writes too: name another file", o.write)
	case !o.lines().Silent && os.SameFile(stat("-", env.Stdout), to):
		return usage("-w %s is standard output, where -o %s writes too: name another file, or leave out -o", o.write, o.output.Name)
	}
	return nil
}
