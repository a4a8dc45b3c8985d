package loader

import "testing"

func TestHold(t *testing.T) {
	privileged(t)
	prog, id := stranger(t)
	ns, err := hold(prog)
	must(t, err)
	defer ns.close()
	must(t, ns.do(func() error {
		c, err := dial()
		if err != nil {
			return err
		}
		defer c.close()
		lo, err := c.link(1)
		if err == nil && lo.programs[Generic] != id {
			t.Errorf("lo has %v, want program %d, generic", lo.programs, id)
		}
		return err
	}))

	release, err := Hold(prog)
	must(t, err)
	slow, err := runsSlowly()
	must(t, err)
	if slow {
		t.Log("this kernel lacks fast test runs of programs that are not in use")
	}
	release()
}
