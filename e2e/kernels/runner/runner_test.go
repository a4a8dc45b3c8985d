package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRelease(t *testing.T) {
	images := func(releases ...string) (names []string) {
		for _, release := range releases {
			names = append(names, "linux-image-"+release+"-cloud-amd64", "linux-image-"+release+"-amd64")
		}
		return names
	}
	floor := kernel{series: "5.10", machine: amd64, prefixes: image, pinned: "5.10.0-30", others: "5.10.", oldest: true}
	newest := kernel{series: "7.3", machine: amd64, prefixes: split, pinned: "7.3.4+deb13", others: "7."}
	ordinary := kernel{series: "6.1-nics", machine: nics, prefixes: image, others: "6.1."}
	for _, c := range []struct {
		kernel    kernel
		available []string
		want      string
	}{
		{floor, images("5.10.0-9", "5.10.0-30", "5.10.0-32"), "5.10.0-30"},
		{floor, images("5.10.0-46", "5.10.0-32", "6.1.0-47"), "5.10.0-32"},
		{floor, images("6.1.0-47"), ""},
		{newest, []string{"linux-binary-7.10.1+deb13-cloud-amd64", "linux-modules-7.10.1+deb13-cloud-amd64", "linux-binary-7.9.2+deb13-cloud-amd64", "linux-modules-7.9.2+deb13-cloud-amd64"}, "7.10.1+deb13"},
		{newest, []string{"linux-binary-7.3.4+deb13-cloud-amd64"}, ""}, // its modules are missing
		{ordinary, append(images("6.1.0-47", "6.1.0-50"), "linux-image-6.1.0-51-rt-amd64"), "6.1.0-50"},
	} {
		got, err := c.kernel.release(c.available)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %v is %q, %v, want %q", c.kernel.series, c.available, got, err, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != 4 {
		t.Errorf("without a name: %v, %v, want the four for amd64", all, err)
	}
	if _, err := choose([]string{"5.10", "4.9"}); err == nil || !strings.Contains(err.Error(), "4.9") {
		t.Errorf("4.9 is no error that names it: %v", err)
	}
}

// TestUnpacked: not every architecture's image is packed, and it is an image all the same.
func TestUnpacked(t *testing.T) {
	for _, name := range []string{"vmlinuz-6.1.0-50-686-pae", "vmlinux-6.1.0-50-powerpc64le"} {
		dir := t.TempDir()
		var files bytes.Buffer
		w := tar.NewWriter(&files)
		for _, file := range []string{"./boot/" + name, "./lib/modules/6.1.0/kernel/drivers/net/veth.ko"} {
			w.WriteHeader(&tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o644, Size: 3})
			w.Write([]byte("elf"))
		}
		w.Close()
		if err := unpackTar(&files, dir); err != nil || !complete(dir) {
			t.Errorf("%s: %v, complete %t", name, err, complete(dir))
		}
	}
}

func TestReport(t *testing.T) {
	console := strings.ReplaceAll(`SeaBIOS (version 1)
guest: kernel 5.10.0-30-cloud-amd64 #1 SMP Debian 5.10.218-1 (2024-06-01)
guest: programs compiled
guest: job /src/asm
=== RUN   TestSplit
=== RUN   TestSplit/all
    kernel_test.go:3: this kernel lacks split packets
--- PASS: TestSplit (1.00s)
    --- SKIP: TestSplit/all (1.00s)
PASS
guest: status 0
guest: job /src/e2e
=== RUN   TestJumbo
    sockets_test.go:5: this kernel lacks jumbo frames
=== RUN   TestJumbo/auto
=== NAME  TestJumbo
    sockets_test.go:9: length is 1
        and more
--- FAIL: TestJumbo (1.00s)
FAIL
guest: status 1
guest: kernel said WARNING: CPU: 0
guest: done
`, "\n", "\r\n")
	r, err := parse(strings.NewReader(console))
	if err != nil {
		t.Fatal(err)
	}
	if r.kernel != "5.10.218-1" || r.programs != "compiled" || r.passed != 1 || r.failed != 1 || r.skipped != 1 || r.ok() {
		t.Errorf("report is %+v", r)
	}
	for name, lists := range map[string][2][]string{
		"lacks":    {r.lacks, {"split packets", "jumbo frames"}},
		"skips":    {{fmt.Sprint(r.skips)}, {"[asm TestSplit/all: this kernel lacks split packets]"}},
		"failures": {r.failures, {"e2e TestJumbo: this kernel lacks jumbo frames\n        length is 1\n                and more"}},
		"warnings": {r.warnings, {"WARNING: CPU: 0"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s are %q, want %q", name, lists[0], lists[1])
		}
	}
}

// TestReportOfCrash: whatever ends a guest early, its report is not good.
func TestReportOfCrash(t *testing.T) {
	const start = "guest: kernel 6 #1\nguest: job /src/asm\n=== RUN   TestA\n--- PASS: TestA (0.00s)\n"
	for name, end := range map[string]string{
		"panic of the kernel": "Kernel panic - not syncing\n",
		"panic of a test":     "panic: no\nguest: status 2\nguest: done\n",
		"exit status":         "guest: status 137\nguest: done\n",
		"init's own error":    "guest: failed: mount /proc: no\n",
		"silence":             "",
	} {
		if r, err := parse(strings.NewReader(start + end)); err == nil && r.ok() {
			t.Errorf("%s: %+v is a good report", name, r)
		}
	}
	if r, err := parse(strings.NewReader("guest: done\n")); err == nil && r.ok() {
		t.Error("a report without a test is good")
	}
}

// TestCards: small guests have few cards, and none has one at a tap that may not be.
func TestCards(t *testing.T) {
	if got, want := amd64.cardEnvironment(), cardsEnv+"=virtio-net-pci=52:54:00:00:00:02,52:54:00:00:00:01 vmxnet3=52:54:00:00:01:02,52:54:00:00:01:01 "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := arm64.cardEnvironment(); got != cardsEnv+"=" {
		t.Errorf("of arm64: %s", got)
	}
	if got := nics.cardEnvironment(); strings.Contains(got, manyQueues) || !strings.Contains(got, " igb=") {
		t.Errorf("without taps: %s", got)
	}
	tapped := nics
	tapped.taps = mayTap()
	if got := tapped.cardEnvironment(); strings.Contains(got, manyQueues) != tapped.taps {
		t.Errorf("taps %v: %s", tapped.taps, got)
	}
}
