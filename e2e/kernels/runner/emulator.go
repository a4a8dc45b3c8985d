package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// emulatorSuite is where a QEMU comes from that has all cards: igb is in 8.0 and later.
const emulatorSuite = "trixie"

// loaderPath and libraryPath are where Debian's packages have what runs their programs.
const (
	loaderPath  = "usr/lib64/ld-linux-x86-64.so.2"
	libraryPath = "usr/lib/x86_64-linux-gnu"
)

// emulator is the command that runs a machine, to which its arguments come: the
// host's own QEMU if that has the cards, and else one that is kept in the cache,
// unpacked and not installed.
func (m machine) emulator(cache string) ([]string, error) {
	if !m.allCards || hasModel(m.qemu, "igb") {
		return []string{m.qemu}, nil
	}
	dir := filepath.Join(cache, "qemu")
	if _, err := os.Stat(filepath.Join(dir, loaderPath)); err != nil {
		if err := fetchEmulator(cache, dir); err != nil {
			return nil, fmt.Errorf("fetch QEMU: %w", err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return []string{at(loaderPath), "--library-path", at(libraryPath), at("usr/bin/" + m.qemu), "-L", at("usr/share/seabios"), "-L", at("usr/share/qemu")}, nil
}

// hasModel reports whether a QEMU has a device.
func hasModel(qemu, model string) bool {
	said, err := exec.Command(qemu, "-device", "help").Output()
	return err == nil && strings.Contains(string(said), fmt.Sprintf("name %q", model))
}

// fetchEmulator unpacks QEMU and all that it needs into dir.
func fetchEmulator(cache, dir string) error {
	packages, err := newApt(filepath.Join(cache, "apt-qemu"), "amd64", []string{emulatorSuite})
	if err != nil {
		return err
	}
	// Base-files has the links that other packages rely on, and nobody depends on it.
	if _, err := packages.output(cache, "apt-get", "-q", "-y", "install", "--download-only", "--no-install-recommends", "qemu-system-x86", "base-files"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(packages.dir, "cache/archives/*.deb"))
	if err != nil {
		return err
	}
	into, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(into)
	for _, file := range files {
		if _, err := output(exec.Command("dpkg-deb", "-x", file, into)); err != nil {
			return err
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return os.Rename(into, dir) // all of it, or none
}
