package loader

import "testing"

// TestRetire sees a native program give its place to the passer before it is
// taken off, and a generic one not, whose receive queue stays. What that is good
// for e2e's TestSoak shows, under kernels that mind.
func TestRetire(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			lab := newLab(t)
			a := lab.attach(t, mode)
			if a.passer == nil {
				t.Fatal("there is no passer")
			}
			if retired := a.site.retire(mode, a.prog, a.passer); retired != (mode == Native) {
				t.Fatalf("retire = %v", retired)
			}
			if mode == Native {
				lab.hold(t, a.passer.id, mode)
				defer a.prog.Close()
				a.id, a.prog = a.passer.id, a.passer.prog // so that Close finds its own
			}
			must(t, a.Close())
			lab.bare(t)
		})
	}
}

// TestRetireNot takes a program off where there is no passer, as without the
// rights to load one.
func TestRetireNot(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Native)
	a.passer.close()
	a.passer = nil
	must(t, a.Close())
	lab.bare(t)
}
