package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// toolsDir is where guests have Debian's xdp-tools, in a folder for each release.
const toolsDir = "/xdp-tools"

// A toolset is Debian's own programs that put several XDP programs on an interface (xdp-tools),
// and all that they need to run.
type toolset struct {
	suite    string
	packages []string
}

// toolsets are those beside which xdplog is tried, for the guests of amd64.
var toolsets = []toolset{
	{"bookworm", []string{"xdp-tools=1.3.1-1", "libxdp1=1.3.1-1", "libbpf1", "libelf1", "zlib1g", "libc6"}},
	{"trixie", []string{"xdp-tools=1.5.4-1", "libxdp1=1.5.4-1", "libbpf1", "libelf1t64", "libzstd1", "zlib1g", "libc6"}},
}

// toolFiles are what the names of the files begin with that are wanted of them.
var toolFiles = []string{
	"xdp-loader", "xdp-filter", "xdp-dispatcher", "xdpfilt_", "xsk_def_xdp_prog",
	"ld-linux-x86-64.so", "libxdp.so", "libbpf.so", "libelf", "libz.so", "libzstd.so", "libc.so", "libm.so",
}

// folder is where a toolset is in the cache.
func (s toolset) folder(cache string) string { return filepath.Join(cache, "xdp-tools-"+s.suite) }

// fetchTools gets the toolsets that the cache has not, if one of the kernels is for them.
func fetchTools(cache string, chosen []kernel) error {
	if !slices.ContainsFunc(chosen, func(k kernel) bool { return k.machine.arch == amd64.arch }) {
		return nil
	}
	for _, s := range toolsets {
		if _, err := os.Stat(s.folder(cache)); err == nil {
			continue
		}
		if err := s.fetch(cache); err != nil {
			return fmt.Errorf("fetch xdp-tools of %s: %w", s.suite, err)
		}
	}
	return nil
}

func (s toolset) fetch(cache string) error {
	a, err := newApt(filepath.Join(cache, "apt-amd64-"+s.suite), "amd64", []string{s.suite})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // apt downloads as a user of its own
		return err
	}
	if _, err := a.output(dir, "apt-get", slices.Concat([]string{"-q", "download"}, s.packages)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := unpack(file, func(content io.Reader) error { return saveTools(content, dir) }); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return os.Rename(dir, s.folder(cache)) // all of it, or none
}

// saveTools copies what is wanted out of a package into one folder.
func saveTools(content io.Reader, dir string) error {
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Base(header.Name)
		wanted := slices.ContainsFunc(toolFiles, func(begin string) bool { return strings.HasPrefix(name, begin) })
		at := filepath.Join(dir, name)
		switch {
		case !wanted || strings.Contains(header.Name, "/share/"):
		case header.Typeflag == tar.TypeReg:
			err = save(files, at)
		case header.Typeflag == tar.TypeSymlink:
			if path.Base(header.Linkname) != name {
				err = os.Symlink(path.Base(header.Linkname), at)
			}
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
}

// addTools gives a guest the toolsets.
func addTools(files *archive, cache string) error {
	for _, s := range toolsets {
		if err := files.copyAll(path.Join(toolsDir, s.suite), s.folder(cache)); err != nil {
			return fmt.Errorf("add xdp-tools of %s: %w", s.suite, err)
		}
	}
	return nil
}
