package loader

import (
	"slices"
	"testing"
)

// TestMeanwhile: what a program would change is said of an interface before.
func TestMeanwhile(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		name string
		mode Mode
		want []string
	}{
		{"v0", Native, natively["veth"]},
		{"lo", Generic, nil},
	} {
		mode, different, err := Meanwhile(c.name, l.name)
		must(t, err)
		if mode != c.mode || !slices.Equal(different, c.want) {
			t.Errorf("of %s it says %v and %q, want %v and %q", c.name, mode, different, c.mode, c.want)
		}
	}
	if _, _, err := Meanwhile("none", l.name); err == nil {
		t.Error("something is said of an interface that is not there")
	}
}
