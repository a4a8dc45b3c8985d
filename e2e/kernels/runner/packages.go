package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// complete reports whether a folder has a kernel. It is made whole, or not at all.
func complete(dir string) bool {
	for _, name := range []string{vmlinuz, moduleDir} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// An apt is one with a configuration, lists and a cache of its own, so that
// the machine's are as they were.
type apt struct{ dir string }

// newApt sets one up below dir, for an architecture and suites of the machine's
// own mirror.
func newApt(dir, arch string, suites []string) (*apt, error) {
	mirror, err := mirror()
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "state", "parts"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	var sources, config strings.Builder
	for _, suite := range suites {
		fmt.Fprintf(&sources, "deb [arch=%s signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", arch, mirror, suite)
	}
	for option, value := range map[string]string{
		"Dir::State": "state", "Dir::State::Lists": "lists", "Dir::State::status": "status", "Dir::Cache": "cache",
		"Dir::Etc::SourceList": "sources.list", "Dir::Etc::SourceParts": "parts", "Dir::Etc::PreferencesParts": "parts",
	} {
		fmt.Fprintf(&config, "%s %q;\n", option, filepath.Join(dir, value))
	}
	fmt.Fprintf(&config, "APT::Architecture %q;\nAPT::Architectures %q;\n", arch, arch)
	config.WriteString("Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n")
	for name, text := range map[string]string{"sources.list": sources.String(), "apt.conf": config.String(), "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{dir}
	if _, err := a.output(dir, "apt-get", "-q", "update"); err != nil {
		return nil, err
	}
	return a, nil
}

// mirror is where the machine has its own Debian packages from.
func mirror() (string, error) {
	output, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	first, _, _ := strings.Cut(string(output), "\n")
	if first == "" {
		return "", errors.New("apt knows no Debian mirror: run apt-get update")
	}
	return first, nil
}

// output runs a program of apt's in a directory.
func (a *apt) output(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"))
	return output(cmd)
}

// output runs a command, whose last words are in the error if it fails.
func output(cmd *exec.Cmd) ([]byte, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	output, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(complaint.String())
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said[strings.LastIndex(said, "\n")+1:])
	}
	return output, nil
}

// fetch puts a kernel's image and modules into dir.
func (a *apt) fetch(k kernel, dir string) error {
	names, err := a.output(dir, "apt-cache", "pkgnames", k.prefixes[0])
	if err != nil {
		return err
	}
	for _, prefix := range k.prefixes[1:] {
		more, err := a.output(dir, "apt-cache", "pkgnames", prefix)
		if err != nil {
			return err
		}
		names = append(names, more...)
	}
	release, err := k.release(strings.Fields(string(names)))
	if err != nil {
		return err
	}
	for _, name := range k.packages(release) {
		if _, err := a.output(dir, "apt-get", "-q", "download", name); err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("download %s: %d files, %w", name, len(files), err)
		}
		if err := unpack(files[0], func(content io.Reader) error { return unpackTar(content, dir) }); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		if err := os.Remove(files[0]); err != nil {
			return err
		}
	}
	return nil
}

// unpack hands the files of a package, as an archive, to what saves some of them.
func unpack(deb string, save func(content io.Reader) error) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	content, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = save(content)
	io.Copy(io.Discard, content) // it ends only when all is read
	return errors.Join(err, cmd.Wait())
}

// unpackTar copies the kernel's image and modules out of a package.
func unpackTar(content io.Reader, dir string) error {
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch name := path.Base(header.Name); {
		case header.Typeflag != tar.TypeReg:
		case strings.HasPrefix(name, "vmlinu"): // not packed everywhere
			err = save(files, filepath.Join(dir, vmlinuz))
		case moduleFile(header.Name):
			err = save(files, filepath.Join(dir, moduleDir, name))
		}
		if err != nil {
			return err
		}
	}
}

func save(content io.Reader, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
