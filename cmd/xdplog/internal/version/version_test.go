package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abcd"}, {Key: "vcs.modified", Value: "true"},
	}}
	info.Main.Version = "v1.2.3"
	text := of(info).String()
	if !strings.HasPrefix(text, "xdplog v1.2.3\n") || !strings.HasSuffix(text, "\nrevision 0123abcd, modified\n") {
		t.Errorf("got %q", text)
	}
	if text := of(info).or("v9", "9").String(); !strings.HasPrefix(text, "xdplog v1.2.3\n") || !strings.HasSuffix(text, "\nrevision 0123abcd, modified\n") {
		t.Errorf("the linker was told otherwise: %q", text)
	}
	if text := of(nil).or("v1.2.3", "0123abcd").String(); !strings.HasPrefix(text, "xdplog v1.2.3\n") || !strings.HasSuffix(text, "\nrevision 0123abcd\n") {
		t.Errorf("as the linker was told: %q", text)
	}
	if text := of(nil).String(); !strings.HasPrefix(text, "xdplog (devel)\ngo1.") {
		t.Errorf("of a binary that says nothing: %q", text)
	}
}
