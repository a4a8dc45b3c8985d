package wire

// WakeFraction is the part of a buffer that is full when its reader is woken, in
// every transport: early enough that the rest lasts until it runs.
const WakeFraction = 4

// RingbufHeader is what precedes each record in the kernel's ring buffer, in
// bytes: BPF_RINGBUF_HDR_SZ (linux/bpf.h).
const RingbufHeader = 8
