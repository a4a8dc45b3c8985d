package loader

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// squatted has somebody without rights bind the claims to v0.
func (l *lab) squatted(t *testing.T) {
	t.Helper()
	squatter := start(t, l.namespace(t), nil, "squat", strconv.Itoa(l.link(t, "v0").Attrs().Index))
	if squatter.said != "bound" {
		t.Fatal(squatter.said)
	}
}

// TestStrangersClaim: who has no rights keeps nobody off, and the claim is what it
// always is among those who have.
func TestStrangersClaim(t *testing.T) {
	lab := newLab(t)
	lab.squatted(t)
	a := lab.attach(t, Generic)
	lab.hold(t, a.id, Generic)

	_, err := Attach(load(t, asm.Config{}), lab.options(Auto))
	says(t, err, "v0 is already watched by this process")
	_, err = Detach("v0", lab.name)
	says(t, err, "v0 is already watched by this process")
	programs, err := Programs("v0", lab.name)
	must(t, err)
	if len(programs) != 1 || programs[0].Owner == nil {
		t.Errorf("programs are %+v, want one with an owner", programs)
	}
	lab.hold(t, a.id, Generic)
	must(t, a.Close())
	lab.bare(t)

	left := lab.leftBehind(t, Native)
	a = lab.attach(t, Auto)
	if a.TookOver() != int(left) {
		t.Errorf("took over %d, want %d", a.TookOver(), left)
	}
	must(t, a.Close())
	left = lab.leftBehind(t, Generic)
	removed, err := Detach("v0", lab.name)
	must(t, err)
	if want := (Removed{ID: int(left), Mode: Generic}); len(removed) != 1 || removed[0] != want {
		t.Errorf("removed %+v, want %+v", removed, want)
	}
	lab.bare(t)
}

func TestStrangersClaimAtTC(t *testing.T) {
	lab := newLab(t)
	lab.squatted(t)
	f := lab.filter(t, asm.TCEgress)
	other := lab.filter(t, asm.TCEgress) // beside it: its claim is another
	if on := lab.atTC(t, asm.TCEgress); len(on) != 2 {
		t.Errorf("programs %v, want those of two", on)
	}
	must(t, other.leave())
	must(t, f.leave())
	lab.bareTC(t)
}

// TestSimultaneousStartsWithoutClaim: where a stranger has the claim, the kernel
// decides.
func TestSimultaneousStartsWithoutClaim(t *testing.T) {
	lab := newLab(t)
	lab.squatted(t)
	colls := []*ebpf.Collection{load(t, asm.Config{}), load(t, asm.Config{})}
	for round := range 10 {
		if round%2 == 1 {
			lab.leftBehind(t, Generic)
		}
		var attached [2]*Attachment
		var errs [2]error
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() { attached[i], errs[i] = Attach(colls[i], lab.options(Generic)) })
		}
		group.Wait()
		for i, a := range attached {
			if other := attached[1-i]; (a == nil) == (other == nil) {
				t.Fatalf("want exactly one: %v, %v", errs[0], errs[1])
			}
			if a == nil {
				says(t, errs[i], "v0 is already watched by this process")
				continue
			}
			lab.hold(t, a.id, Generic)
			must(t, a.Close())
		}
	}
	lab.bare(t)
}

// TestProvedClaim: root believes another user who has the rights.
func TestProvedClaim(t *testing.T) {
	lab := newLab(t)
	owner := startAs(t, nobody, lab.namespace(t), nil, "v0", "generic", "")
	if !strings.HasPrefix(owner.said, "attached") {
		t.Fatal(owner.said)
	}
	_, err := Attach(load(t, asm.Config{}), lab.options(Auto))
	says(t, err, fmt.Sprintf("v0 is already watched by xdplog, process %d of user 65534", owner.Process.Pid))
	owner.kill()
}
