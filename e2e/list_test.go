package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A listedInterface is what -D -o json says of one.
type listedInterface struct {
	Type     string   `json:"event_type"`
	Name     string   `json:"iface"`
	Driver   string   `json:"driver"`
	Up       bool     `json:"up"`
	Places   []string `json:"places"`
	Programs []struct {
		At   string `json:"at"`
		ID   uint32 `json:"id"`
		Name string `json:"name"`
	} `json:"programs"`
	Note string `json:"note"`
}

// list returns what a command says of right0.
func (p *process) list(t *testing.T) listedInterface {
	t.Helper()
	end := p.wait(t)
	if end.status != 0 {
		t.Fatalf("exit status is %d, want 0:\n%s", end.status, end.stderr)
	}
	for _, line := range end.lines {
		var l listedInterface
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.Name == right(0) {
			return l
		}
	}
	t.Fatalf("%s is not among\n%s", right(0), strings.Join(end.lines, "\n"))
	panic("unreachable")
}

// TestListInterfaces lists an interface that is free, one with another's program,
// and one with xdplog's, with all rights and with none.
func TestListInterfaces(t *testing.T) {
	lab := newLab(t)
	all := func() listedInterface {
		t.Helper()
		return start(t, lab.right, "-D", "-o", "json").list(t)
	}
	few := func() listedInterface {
		t.Helper()
		cmd := command("-D", "-o", "json")
		cmd.SysProcAttr = nobody()
		return launch(t, lab.right, cmd).read().list(t)
	}
	for _, l := range []listedInterface{all(), few()} {
		if want := []string{"xdp native", "xdp generic", "tc"}; !slices.Equal(l.Places, want) || len(l.Programs) > 0 {
			t.Errorf("a free one: %+v, want %q", l, want)
		}
		if l.Type != "interface" || l.Driver != "veth" || !l.Up {
			t.Errorf("it is %+v", l)
		}
	}

	remove := lab.foreign(t, "native")
	id := lab.attached(t, right(0)).id
	for i, l := range []listedInterface{all(), few()} {
		if !slices.Equal(l.Places, []string{"tc"}) || len(l.Programs) != 1 || l.Programs[0].ID != uint32(id) || l.Programs[0].At != "xdp native" {
			t.Errorf("with another's program: %+v", l)
		} else if name := []string{"somebody_else", ""}[i]; l.Programs[0].Name != name {
			t.Errorf("its name is %q, want %q", l.Programs[0].Name, name)
		}
	}
	remove()

	capture := lab.xdplog(t, "--direction", "inout")
	l := all()
	if !strings.Contains(l.Note, "already watched by xdplog") || len(l.Programs) != 2 || l.Programs[1].At != "tc egress" {
		t.Errorf("with xdplog: %+v", l)
	}
	capture.stop(t)

	text := start(t, lab.right, "-D").wait(t)
	if want := right(0) + " (veth): xdp native, xdp generic, tc"; !slices.Contains(text.lines, want) {
		t.Errorf("-D says\n%s\nwithout\n%s", strings.Join(text.lines, "\n"), want)
	}
}

// TestAllInterfaces: -i all is each interface that is up, and no other.
func TestAllInterfaces(t *testing.T) {
	lab := newLabWith(t, labOptions{pairs: 2})
	capture := start(t, lab.right, "-i", "all", "-o", "json", fmt.Sprint("port ", markerPort)).listens(t)
	for i := range 2 {
		if err := lab.transmit(i, marker()); err != nil {
			t.Fatal(err)
		}
		if e := capture.next(t); e.Interface != right(i) {
			t.Errorf("event on %s, want %s", e.Interface, right(i))
		}
	}
	if end := capture.stop(t); strings.Contains(end.stderr, "listening on lo ") || strings.Count(end.stderr, listening) != 2 {
		t.Errorf("it listens elsewhere:\n%s", end.stderr)
	}

	facts, end := runCheck(t, lab.right, nil, "-i", "all")
	if want := "xdplog -i right0 -i right1 works here"; end.status != 0 || facts["in all"].Found != want {
		t.Errorf("check: exit status is %d, and it says %q, want %q", end.status, facts["in all"].Found, want)
	}
}
