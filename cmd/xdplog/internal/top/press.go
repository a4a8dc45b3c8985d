package top

import (
	"slices"

	"github.com/xdplog/xdplog/reader/tally"
)

// press does what a key asks for.
func (w *watcher) press(k key) {
	w.picture.status = ""
	w.said.read()
	if w.typing {
		w.typeFilter(k)
		return
	}
	switch k {
	case 'q', 'Q':
		w.stop()
	case 's':
		w.options.Sort = (w.options.Sort + 1) % sorts
		w.sort()
	case 'b', tab:
		bys := w.options.Bys
		if len(bys) == 0 {
			return
		}
		next := bys[(slices.Index(bys, w.options.By)+1)%len(bys)]
		w.change(w.options.Filter, next)
	case 'p', ' ':
		w.picture.paused = !w.picture.paused
		if !w.picture.paused {
			w.sort()
		}
	case '/':
		w.typing = true
		if !w.refused { // else it is to be mended
			w.filter = w.options.Filter
		}
	case 'h', '?':
		w.picture.help = !w.picture.help
	case escape:
		w.picture.help = false
	case redraw:
		w.screen.shown = nil
	}
}

// typeFilter edits the filter.
func (w *watcher) typeFilter(k key) {
	switch {
	case k == escape:
		w.typing = false
	case k == enterK:
		w.typing = false
		if w.filter != w.options.Filter {
			w.change(w.filter, w.options.By)
		}
	case k == erase:
		w.filter = w.filter[:max(0, len(w.filter)-1)]
	case k == wipe:
		w.filter = ""
	case k >= ' ':
		w.filter += string(rune(k))
	}
}

// change has the capture begin anew, with another filter or key, unless they make no sense.
func (w *watcher) change(filter string, by tally.By) {
	program, err := w.options.Compile(filter, by)
	if w.refused = err != nil; w.refused {
		w.picture.status = err.Error()
		return
	}
	w.options.Filter, w.options.By, w.options.Run.Program = filter, by, program
	w.picture.status = "begins anew"
	w.again = true
	w.stop()
}
