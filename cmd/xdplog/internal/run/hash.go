package run

import "github.com/xdplog/xdplog/reader"

// hashing says where packets' hashes are to be told, and are not.
func (s *session) hashing(a attachment) string {
	if !s.hashes || a.TellsHash() {
		return ""
	}
	return "; hashes are not told here (--place tc has those that the stack knows)"
}

// countHashes counts the packets with a hash, where there are to be hashes.
func (p *pump) countHashes(packets []reader.Packet) {
	if !p.hashes {
		return
	}
	for i := range packets {
		if packets[i].Hash.Known() {
			p.hashed++
		}
	}
}
