package top

// A key is a character that was typed, or one of those below.
type key rune

const (
	escape key = 0x1b
	enterK key = '\r'
	erase  key = 0x7f
	tab    key = '\t'
	redraw key = 'L' - '@' // Ctrl-L
	wipe   key = 'U' - '@' // Ctrl-U
)

// typed are the keys in what a terminal sent. Keys that send sequences, as arrows do,
// are none of them.
func typed(b []byte) (all []key) {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == byte(escape) && i+1 < len(b) && (b[i+1] == '[' || b[i+1] == 'O'):
			for i += 2; i < len(b) && (b[i] < '@' || b[i] > '~'); i++ {
			}
		case c == '\n':
			all = append(all, enterK)
		case c == '\b':
			all = append(all, erase)
		case c < 0x80: // filters are ASCII
			all = append(all, key(c))
		}
	}
	return all
}
