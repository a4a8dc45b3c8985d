package loader

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// TestMetadata: a driver is asked for what it tells, by a program of its device alone.
func TestMetadata(t *testing.T) {
	lab := newLab(t)
	at := lab.options(Auto)
	all := Metadata([]Options{at, {Interface: "v1", Namespace: at.Namespace, Mode: Generic}, {Interface: "none", Namespace: at.Namespace}})
	if all == nil {
		t.Skip("this kernel lacks a veth that tells programs of VLAN tags (Linux 6.8)")
	}
	if all[0].Index != uint32(lab.link(t, "v0").Attrs().Index) || all[0].VLANTag == 0 || all[0].Timestamp != 0 {
		t.Errorf("of v0 there is %+v", all[0])
	}
	if none := (asm.Metadata{}); all[1] != none || all[2] != none {
		t.Errorf("of a generic program, and no interface, there is %+v", all[1:])
	}
	for _, other := range []Options{{Place: asm.TCIngress}, {Method: ByLink}} {
		other.Interface, other.Namespace = at.Interface, at.Namespace
		if got := Metadata([]Options{other}); got != nil {
			t.Errorf("of %+v there is %+v", other, got)
		}
	}

	hashed := at
	hashed.Config.Hash = true
	with := Metadata([]Options{hashed})
	if want := all[0]; with[0].Hash == 0 || with[0] == want {
		t.Errorf("with hashes there is %+v", with)
	} else if want.Hash = with[0].Hash; with[0] != want {
		t.Errorf("with hashes there is %+v, want %+v", with[0], want)
	}

	at.Config = asm.Config{Metadata: all[:1]}
	var coll *ebpf.Collection
	must(t, Within(at.Namespace, func() (err error) {
		coll, err = Load(at.Config)
		return err
	}))
	defer coll.Close()
	a, err := Attach(coll, at)
	must(t, err)
	lab.hold(t, a.id, Native)
	if a.HidesTags() {
		t.Error("tags are said to be hidden")
	}
	must(t, a.Close())
	lab.bare(t)

	elsewhere := at
	elsewhere.Interface = "v1"
	generic := at
	generic.Mode = Generic
	for _, wrong := range []Options{elsewhere, generic} {
		if _, err := Attach(coll, wrong); !errors.As(err, new(*RefusedError)) {
			t.Errorf("on %s, %v: %v, want a RefusedError", wrong.Interface, wrong.Mode, err)
		}
	}
	lab.bare(t)
}

// TestHiddenTags: without asking the driver, tags are hidden on a veth, and not at tc.
func TestHiddenTags(t *testing.T) {
	lab := newLab(t)
	for _, mode := range []Mode{Native, Generic} {
		a := lab.attach(t, mode)
		if !a.HidesTags() {
			t.Errorf("%v: tags are said to be seen", mode)
		}
		must(t, a.Close())
	}
	at := lab.options(Auto)
	at.Place = asm.TCIngress
	a, err := Attach(load(t, asm.Config{Place: asm.TCIngress}), at)
	must(t, err)
	if a.HidesTags() {
		t.Error("at tc tags are said to be hidden")
	}
	must(t, a.Close())
	if keeps, err := KeepsTags("v0", at.Namespace); err != nil || !keeps {
		t.Errorf("a veth keeps tags: %v, %v", keeps, err)
	}
}
