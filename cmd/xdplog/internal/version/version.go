// Package version says what was built: what the Go command stamped into the
// binary. It imports the standard library alone.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// A Version is that of a binary.
type Version struct {
	Number   string // of the module; "(devel)" where it is not known
	Revision string // of the source; "" where it is not known
	Modified bool   // the source was not that of the revision alone
}

// Own is the version of this binary.
func Own() Version {
	info, _ := debug.ReadBuildInfo()
	return of(info)
}

// of is what build information says; info may be nil.
func of(info *debug.BuildInfo) Version {
	v := Version{Number: "(devel)"}
	if info == nil {
		return v
	}
	if info.Main.Version != "" {
		v.Number = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

// String is the text of xdplog version: whole lines.
func (v Version) String() string {
	text := fmt.Sprintf("xdplog %s\n%s %s/%s\n", v.Number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if v.Revision == "" {
		return text
	}
	if v.Modified {
		return text + "revision " + v.Revision + ", modified\n"
	}
	return text + "revision " + v.Revision + "\n"
}
