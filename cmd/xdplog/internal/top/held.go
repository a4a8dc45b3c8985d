package top

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// held keeps lines back that would be written across a screen, until that is gone.
type held struct {
	to io.Writer

	mu      sync.Mutex
	holding bool
	text    []byte
	unread  string // the last line, until it has been seen
}

// maxHeld is how much is kept.
const maxHeld = 64 << 10

func (h *held) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.holding {
		return h.to.Write(b)
	}
	if len(h.text)+len(b) <= maxHeld {
		h.text = append(h.text, b...)
	}
	if all := strings.TrimRight(string(b), "\n"); all != "" {
		h.unread = all[strings.LastIndexByte(all, '\n')+1:]
	}
	return len(b), nil
}

func (h *held) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = true
}

// release writes what was kept.
func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holding && len(bytes.TrimSpace(h.text)) > 0 {
		h.to.Write(h.text)
	}
	h.holding, h.text = false, nil
}

// forget drops what was kept.
func (h *held) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text, h.unread = nil, ""
}

// last is the last line that was kept and not yet read.
func (h *held) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unread
}

func (h *held) read() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = ""
}
