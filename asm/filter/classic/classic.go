package classic

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
)

// MaxInstructions is how many instructions Linux takes (BPF_MAXINSNS).
const MaxInstructions = 4096

// ErrTooLarge is wrapped by the error for a filter that makes more than
// [MaxInstructions].
var ErrTooLarge = fmt.Errorf("more than %d instructions", MaxInstructions)

// ErrTooDeep is wrapped by the error for arithmetic in which more numbers would have to
// wait for others than there is memory for: 8, which takes hundreds of operands.
var ErrTooDeep = errors.New("arithmetic that is nested too deeply")

// Options say what the program returns, and what it is run on.
type Options struct {
	// SnapLen is what the program returns for a frame that matches: how many bytes of
	// it are wanted, at most. Default: all.
	SnapLen uint32

	// TagBeside is for packet sockets. Linux takes the outer VLAN tag off a frame that
	// it receives, and has it beside the packet. With TagBeside it is the outer tag to
	// the filter all the same. What ether[…] and len are about, the bytes that the
	// socket has, is without it. It uses extensions of Linux (SKF_AD_VLAN_TAG_PRESENT
	// and others), which other machines refuse, [bpf.VM] among them.
	TagBeside bool
}

// Compile returns the program for a filter, for [bpf.NewVM] or [bpf.Assemble]. That of
// a filter which matches nothing is to return 0. It fails with the error of
// [filter.Filter.Check], [ErrTooLarge] or [ErrTooDeep].
func Compile(f *filter.Filter, opts Options) ([]bpf.Instruction, error) {
	if f != nil && filter.AsksTunnel(f.Root) {
		return nil, filter.ErrNoTunnels
	}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("compile to classic BPF: %w", err)
	}
	if opts.SnapLen == 0 {
		opts.SnapLen = math.MaxInt32 // an int everywhere, as VMs return
	}
	program, err := compile(f.Root, opts)
	if err != nil {
		return nil, fmt.Errorf("compile to classic BPF: %w", err)
	}
	return program, nil
}

// compile puts the program together: what decodes the packet, as far as the filter asks
// for it, and the filter for each kind of packets.
func compile(root filter.Node, opts Options) ([]bpf.Instruction, error) {
	c := newCode()
	accept, reject := c.fresh(), c.fresh()
	var bodies []*matcher
	for k := range kinds {
		body := &matcher{emitter: newEmitter(c.part()), kind: k, reject: reject}
		body.when(root, false, reject)
		body.goTo(accept)
		if body.deep {
			return nil, ErrTooDeep
		}
		bodies = append(bodies, body)
		if k == short && !body.typed { // the same of all kinds
			break
		}
	}
	if len(bodies) > 1 {
		d := &decoder{emitter: newEmitter(c.part()), bodies: bodies, tagBeside: opts.TagBeside}
		d.decode(accept, reject)
		c.append(d.code)
	} else {
		c.append(bodies[0].code)
	}
	if c.jumpsTo(accept) {
		c.bind(accept)
		c.emit(bpf.RetConstant{Val: opts.SnapLen})
	}
	if c.jumpsTo(reject) || !c.jumpsTo(accept) {
		c.bind(reject)
		c.emit(bpf.RetConstant{Val: 0})
	}
	return c.assemble()
}
