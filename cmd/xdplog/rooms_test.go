package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/xdplog/xdplog/"

// A room is a row of the table in docs/design.md.
type room struct {
	everything bool     // it may import what it likes
	rooms      []string // that it may import, by their paths in the module
	others     []string // modules or packages of others, without the host's name
}

// TestRooms holds what each package imports to the table of rooms in
// docs/design.md: no arrow but those that are drawn there.
func TestRooms(t *testing.T) {
	page, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	rooms := readRooms(t, string(page))
	for name, imports := range packages(t) {
		own, ok := rooms[name]
		if !ok {
			// What only tests use has no row, and no arrows.
			if !strings.HasPrefix(name, "e2e/") && !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/design.md does not speak of %s", name)
			}
			continue
		}
		for _, path := range imports {
			if own.everything || !strings.Contains(path, ".") { // the standard library
				continue
			}
			imported, ours := strings.CutPrefix(path, module)
			switch {
			case ours && rooms[imported] == nil:
				t.Errorf("%s imports %s, which is for tests", name, imported)
			case ours && !slices.Contains(own.rooms, imported):
				t.Errorf("%s imports %s: docs/design.md draws no such arrow", name, imported)
			case !ours && !slices.ContainsFunc(own.others, func(other string) bool { return hasElements(path, other) }):
				t.Errorf("%s imports %s: docs/design.md does not let it", name, path)
			}
		}
	}
}

// packages is what each package of the module imports, tests left out. The
// paths of the packages are those in the module.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	list.Stderr = os.Stderr
	text, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		all[strings.TrimPrefix(words[0], module)] = words[1:]
	}
	return all
}

var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .* \\| (.*) \\|$")

// readRooms reads the table, by the rooms' paths in the module. A room may be
// named by the last element of its path.
func readRooms(t *testing.T, page string) map[string]*room {
	t.Helper()
	_, page, found := strings.Cut(page, "| room | what it is for | may import |\n")
	if !found {
		t.Fatal("docs/design.md has no table of rooms")
	}
	page, _, _ = strings.Cut(page, "\n\n")
	rows := row.FindAllStringSubmatch(page+"\n", -1)
	paths := make([]string, len(rows))
	for i := range rows {
		paths[i] = rows[i][1]
	}
	rooms := make(map[string]*room)
	for i, path := range paths {
		r := new(room)
		for item := range strings.SplitSeq(rows[i][2], ", ") {
			name, ours := strings.CutPrefix(strings.TrimSuffix(item, "`"), "`")
			switch {
			case item == "standard library":
			case item == "everything":
				r.everything = true
			case item == "all of the above":
				r.rooms = append(r.rooms, paths[:i]...)
			case !ours:
				r.others = append(r.others, item)
			default:
				at := slices.IndexFunc(paths, func(path string) bool { return path == name })
				if at < 0 {
					at = slices.IndexFunc(paths, func(path string) bool { return strings.HasSuffix(path, "/"+name) })
				}
				if at < 0 {
					t.Errorf("%s may import %s, which is no room", path, item)
					continue
				}
				r.rooms = append(r.rooms, paths[at])
			}
		}
		rooms[path] = r
	}
	if len(rooms) < 10 {
		t.Fatalf("only %d rooms were found", len(rooms))
	}
	return rooms
}

// hasElements reports whether the elements of some path are in another one.
func hasElements(path, some string) bool {
	return strings.Contains("/"+path+"/", "/"+some+"/")
}
