package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// An archive is the files of a guest, as the kernel takes them
// (Documentation/driver-api/early-userspace/buffer-format.rst, "newc").
type archive struct {
	buffer bytes.Buffer
	inode  int
	made   map[string]bool
}

const trailer = "TRAILER!!!"

// add puts a file, or with content nil a directory, at an absolute path, and
// makes the directories that lead to it.
func (a *archive) add(name string, mode fs.FileMode, content []byte) {
	name = strings.Trim(path.Clean(name), "/")
	if a.made == nil {
		a.made = map[string]bool{".": true, "": true}
	}
	if a.made[name] {
		return
	}
	if name != trailer {
		a.add(path.Dir(name), 0o755, nil)
	}
	a.made[name] = true
	a.inode++

	const regular, directory = 0o100000, 0o040000 // stat.h
	kind, links := regular, 1
	if content == nil {
		kind, links = directory, 2
	}
	// inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
	fmt.Fprintf(&a.buffer, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, kind|int(mode.Perm()), 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.align()
	a.buffer.Write(content)
	a.align()
}

func (a *archive) align() {
	for a.buffer.Len()%4 != 0 {
		a.buffer.WriteByte(0)
	}
}

// copy adds a file of the host's.
func (a *archive) copy(name, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.add(name, 0o755, append([]byte{}, content...))
	return nil
}

// copyAll adds the files below a directory of the host's, if there is one.
func (a *archive) copyAll(name, from string) error {
	if _, err := os.Stat(from); err != nil {
		return nil
	}
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return a.copy(path.Join(name, filepath.ToSlash(below)), file)
	})
}

// writeTo ends the archive and writes it.
func (a *archive) writeTo(w io.Writer) error {
	a.add(trailer, 0, []byte{})
	_, err := a.buffer.WriteTo(w)
	return err
}
