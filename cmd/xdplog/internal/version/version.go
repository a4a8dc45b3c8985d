// Package version says what was built: what the Go command stamped into the
// binary, or where it could not, as in an image that is built without .git, what the
// linker was told. It imports the standard library alone.
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

// What the linker was told, for a binary of which the Go command knows less:
//
//	go build -ldflags '-X github.com/xdplog/xdplog/cmd/xdplog/internal/version.number=v1.2.3 -X ….revision=0123abcd'
var number, revision string

// Own is the version of this binary.
func Own() Version {
	info, _ := debug.ReadBuildInfo()
	return of(info).or(number, revision)
}

// or is the version with what it lacks.
func (v Version) or(number, revision string) Version {
	if v.Number == unknown && number != "" {
		v.Number = number
	}
	if v.Revision == "" {
		v.Revision = revision
	}
	return v
}

// unknown is the number of what is not known to be a release, as the Go command says it.
const unknown = "(devel)"

// of is what build information says; info may be nil.
func of(info *debug.BuildInfo) Version {
	v := Version{Number: unknown}
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
