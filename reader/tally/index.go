package tally

import "hash/maphash"

// An index finds the rows of keys. A map of keys is ten times as large as this, which
// has their numbers alone, and there may be a hundred thousand to be looked up a second.
type index struct {
	seed  maphash.Seed
	slots []int32 // numbers of rows from 1 on; 0: free; a power of two, at most half of them used
}

// minSlots is how many there are at first.
const minSlots = 64

// find returns the number of a key's row, or -1 and the slot where it is to be.
func (x *index) find(rows []Row, key *Key) (row, slot int) {
	if len(x.slots) == 0 {
		x.seed, x.slots = maphash.MakeSeed(), make([]int32, minSlots)
	}
	mask := len(x.slots) - 1
	for slot = int(maphash.Comparable(x.seed, *key)) & mask; ; slot = (slot + 1) & mask {
		row := int(x.slots[slot]) - 1
		if row < 0 || rows[row].Key == *key {
			return row, slot
		}
	}
}

// set gives a slot to the last of some rows.
func (x *index) set(slot int, rows []Row) {
	x.slots[slot] = int32(len(rows))
	if 2*len(rows) <= len(x.slots) {
		return
	}
	x.slots = make([]int32, 2*len(x.slots))
	for i := range rows {
		_, slot := x.find(rows, &rows[i].Key)
		x.slots[slot] = int32(i + 1)
	}
}
