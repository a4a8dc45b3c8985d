package loader

import (
	"slices"
	"testing"
)

// TestMergesInCard: a veth has offloads with names, and none by which a card merges.
func TestMergesInCard(t *testing.T) {
	lab := newLab(t)
	options := lab.options(Auto)
	if on, err := MergesInCard(options.Interface, options.Namespace); err != nil || len(on) > 0 {
		t.Errorf("%v, %v", on, err)
	}
	if on, err := MergesInCard("nosuch0", options.Namespace); err == nil {
		t.Errorf("of none: %v", on)
	}
	s := &site{ns: lab.namespace(t), link: link{name: options.Interface}}
	now, err := s.features()
	if err != nil {
		t.Fatal(err)
	}
	names := s.featureNames()
	for _, name := range append([]string{"tx-tcp-segmentation"}, merging...) {
		if !slices.Contains(names, name) {
			t.Errorf("no offload is called %s", name)
		}
	}
	if on := s.named(now.active); !slices.Contains(on, "tx-tcp-segmentation") || slices.Contains(on, "rx-lro") {
		t.Errorf("on are %v", on)
	}
}
