package capfile

import (
	"fmt"
	"io"
)

// A scanner hands out the bytes of a stream in pieces, without copying them: they
// stay where they were read, in chunks that others may go on using.
type scanner struct {
	from   io.Reader
	chunk  []byte // what is in memory
	at     int    // of it handed out
	offset int64  // in the stream, of chunk[0]
	mark   int64  // in the stream, where the block at hand begins: for errors
	least  int    // bytes to read at a time; 0: chunkSize
	ended  error  // of reading: there is no more

	// fresh returns memory for the next chunk, of at least so many bytes. What was
	// handed out of the one before stays valid for as long as its owner keeps it.
	fresh func(least int) []byte
}

// chunkSize is how much is read from a file at a time.
const chunkSize = 256 << 10

// mostBlock bounds a block of a file, as libpcap does: what claims to be larger is
// broken, and no memory is given to it.
const mostBlock = 16 << 20

// begin notes that a block begins here.
func (s *scanner) begin() { s.mark = s.offset + int64(s.at) }

// next returns the next n bytes. The error is [io.EOF] where the stream ends before
// the first of them, and [io.ErrUnexpectedEOF] where it ends after.
func (s *scanner) next(n int) ([]byte, error) {
	if n > mostBlock {
		return nil, fmt.Errorf("%d bytes in one piece", n)
	}
	if len(s.chunk)-s.at < n {
		if err := s.fill(n); err != nil {
			return nil, err
		}
	}
	b := s.chunk[s.at : s.at+n : s.at+n]
	s.at += n
	return b, nil
}

// peek is next, which stay the next ones.
func (s *scanner) peek(n int) ([]byte, error) {
	b, err := s.next(n)
	s.at -= len(b)
	return b, err
}

// fill reads on, into another chunk, until there are n bytes to hand out.
func (s *scanner) fill(n int) error {
	rest := s.chunk[s.at:]
	least := s.least
	if least == 0 {
		least = chunkSize
	}
	memory := s.fresh(max(n, least))
	have := copy(memory[:cap(memory)], rest)
	s.offset += int64(s.at)
	s.chunk, s.at = memory[:have], 0
	for len(s.chunk) < n {
		got := 0
		if s.ended == nil {
			got, s.ended = s.from.Read(memory[len(s.chunk):cap(memory)])
		}
		s.chunk = memory[:len(s.chunk)+got]
		switch {
		case s.ended == nil || len(s.chunk) >= n: // what came with an error comes first
		case len(s.chunk) == 0:
			return s.ended
		case s.ended == io.EOF, s.ended == errPackedEnds:
			return io.ErrUnexpectedEOF
		default:
			return s.ended
		}
	}
	return nil
}
