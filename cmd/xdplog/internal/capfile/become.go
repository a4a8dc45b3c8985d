package capfile

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// A command that is run with each file may pack it: the file is then one of another name.
// As it is no longer there by its own, the one with a suffix is what has become of it,
// unless that is older.

// suffixes are what commands that pack files append to their names.
var suffixes = [...]string{".gz", ".zst", ".xz", ".lz4", ".bz2", ".lz"}

// packers are those commands, in the same order.
var packers = [...]string{"gzip", "zstd", "xz", "lz4", "bzip2", "lzip"}

// Packer returns the command whose files have a name such as this one, or "".
func Packer(name string) string {
	for i, suffix := range suffixes {
		if strings.HasSuffix(name, suffix) {
			return packers[i]
		}
	}
	return ""
}

// present is the name of a file that was made, or of what has become of it, and its size;
// "" where nobody knows.
func (r *ring) present(f finished) (name string, size int64) {
	if info, err := os.Lstat(f.name); err == nil && os.SameFile(info, f.info) {
		return f.name, info.Size()
	}
	return r.packed(f)
}

// packed is what a command has made of a file.
func (r *ring) packed(f finished) (name string, size int64) {
	if r.then == nil {
		return "", 0
	}
	for _, suffix := range suffixes {
		info, err := os.Lstat(f.name + suffix)
		if err == nil && info.Mode().IsRegular() && !older(info, f.info) {
			return f.name + suffix, info.Size()
		}
	}
	return "", 0
}

// older reports whether a file was made, or named, before another one was last written to.
func older(info, than fs.FileInfo) bool {
	this, ok := info.Sys().(*syscall.Stat_t)
	that, also := than.Sys().(*syscall.Stat_t)
	if !ok || !also {
		return true
	}
	return this.Ctim.Nano() < that.Ctim.Nano()
}

// sweep deletes what has become of files that were deleted while their command ran.
func (r *ring) sweep() {
	r.late = slices.DeleteFunc(r.late, func(f finished) bool {
		busy := r.then.busy(f.name)
		if name, _ := r.packed(f); name != "" && !busy {
			os.Remove(name)
		}
		return !busy
	})
}

// forget deletes what has become of a file whose name comes again.
func (r *ring) forget(name string) {
	again := func(f finished) bool {
		if f.name != name {
			return false
		}
		if is, _ := r.present(f); is != name && is != "" {
			os.Remove(is)
		}
		return true
	}
	r.late = slices.DeleteFunc(r.late, again)
	r.finished = slices.DeleteFunc(r.finished, func(f finished) bool {
		is, _ := r.present(f)
		return is != name && again(f)
	})
}
